import { Ending } from "../../ir/node.ts";
import type { Block, Routine, Slot, Statement, Value } from "../../ir/node.ts";
import { visitOperands, visitStatement } from "../../ir/visit.ts";
import { State } from "../../x86/state.ts";
import { countUses } from "../lower/uses.ts";
import { numberUse } from "./numbers.ts";
import type { NumberUse } from "./numbers.ts";
import { isCached, symbolicSlot } from "./registers.ts";

/** What the translator knows of a form's IR, found once. */
export interface Template {
  readonly body: Block;
  readonly uses: ReadonlyMap<number, number>;
  /** A number for each statement, rising in the order of the text, and the last one at which a value is needed. */
  readonly positions: ReadonlyMap<Statement, number>;
  readonly lastUse: ReadonlyMap<number, number>;
  /** Its code can stand in a region; otherwise a region calls the interpreter's. */
  readonly inline: boolean;
  /** Where it is called: it may read and write registers that its IR does not name. */
  readonly opaque: boolean;
  /** It may change which translations are used for data. */
  readonly switchesTlb: boolean;
  /** It may change what settled reads read: MXCSR's controls, and whether x87 and SSE instructions trap. */
  readonly unsettles: boolean;
  /** Vectors that it has as constants, other than zero. */
  readonly vectors: ReadonlySet<bigint>;
  /** Reads of the lazy flags that only named conditions use. */
  readonly forConditions: ReadonlySet<number>;
  /** Statements (if, loop) inside which the status flags are read or written. */
  readonly flagBlocks: ReadonlySet<Statement>;
  /** Statements inside which registers are written. */
  readonly registerBlocks: ReadonlySet<Statement>;
  /** Operations, conversions and reads that may be simpler when a record's numbers are known. */
  readonly foldable: ReadonlySet<number>;
  /** Values that are evaluated where a statement says so, and not where they are used. */
  readonly held: ReadonlySet<number>;
  readonly numbers: NumberUse;
}

/** Values and statements beyond which a form is called. */
const inlineLimit = 700;

const flagSlots: ReadonlySet<Slot> = new Set([State.ccAux, State.ccResult]);

interface Effects {
  /** Registers that a region keeps in locals may be read or written. */
  readonly touchesRegisters: boolean;
  readonly switchesTlb: boolean;
  readonly unsettles: boolean;
  /** The platform is asked. */
  readonly asks: boolean;
}
const effectsOf = new Map<Routine, Effects>();
const none: Effects = { touchesRegisters: false, switchesTlb: false, unsettles: false, asks: false };

function slotEffects(slot: Slot, written?: Value): Effects {
  if (typeof slot !== "number") return { ...none, touchesRegisters: true };
  return {
    ...none,
    touchesRegisters: isCached(slot),
    switchesTlb: written !== undefined && slot === State.tlbBank,
    unsettles: written !== undefined && unsettles(slot, written),
  };
}

/** Whether a write is of the kind that settled reads have to see. Exceptions that are noted in MXCSR are not. */
function unsettles(slot: Slot, written: Value): boolean {
  if (slot === State.fpuTrap) return true;
  if (slot !== State.mxcsr) return false;
  const [old] = written.kind === "operation" && written.name === "or" ? written.operands : [];
  return old?.kind !== "get" || old.slot !== State.mxcsr;
}

function join(all: Effects, more: Effects): Effects {
  return {
    touchesRegisters: all.touchesRegisters || more.touchesRegisters,
    switchesTlb: all.switchesTlb || more.switchesTlb,
    unsettles: all.unsettles || more.unsettles,
    asks: all.asks || more.asks,
  };
}

/** Whether a condition is that of Semantics.requireSse and requireX87. */
export function isTrapCheck(condition: Value): boolean {
  if (condition.kind !== "operation" || condition.name !== "ne") return false;
  const [read] = condition.operands;
  return read?.kind === "get" && read.slot === State.fpuTrap;
}

/** What a routine, and those it calls, may do to the state. */
function routineEffects(routine: Routine): Effects {
  const known = effectsOf.get(routine);
  if (known !== undefined) return known;
  // A routine that calls itself has its own effects already.
  effectsOf.set(routine, none);
  let effects = none;
  const walk = (block: Block) => {
    for (const statement of block) {
      if (statement.kind === "set") effects = join(effects, slotEffects(statement.slot, statement.value));
      if (statement.kind === "define" && statement.value.kind === "get")
        effects = join(effects, slotEffects(statement.value.slot));
      if (statement.kind === "call") effects = join(effects, routineEffects(statement.routine));
      if (statement.kind === "host") effects = { ...effects, asks: true };
      visitStatement(statement, () => {}, walk);
    }
  };
  walk(routine.body());
  effectsOf.set(routine, effects);
  return effects;
}

/** Whether a slot that is computed is one of the x87 stack's: those count from TOP. */
function isX87(slot: Slot): boolean {
  if (typeof slot === "number") return slot >= State.x87 && slot < State.x87 + 8 * 16;
  if (slot.kind === "const") return isX87(Number(slot.value));
  return slot.kind === "operation" && slot.name === "add" && slot.operands.some(isX87);
}

/** Whether a slot may be that of zeros: the base, index or segment that an operand does not have. */
function mayBeZero(slot: Slot): boolean {
  if (typeof slot === "number") return slot === State.zero;
  return slot.kind === "field" && (slot.name === "base" || slot.name === "index" || slot.name === "segment");
}

/** Analyses a form's IR. */
export function analyse(body: Block): Template {
  const positions = new Map<Statement, number>();
  const lastUse = new Map<number, number>();
  const flagBlocks = new Set<Statement>();
  const registerBlocks = new Set<Statement>();
  const flagReads = new Set<number>();
  const otherUses = new Set<number>();
  let position = 0;
  let firstFlagWrite = Infinity;
  let inline = true;
  let opaque = false;
  let registerWrites = 0;
  let switchesTlb = false;
  let changesSettled = false;
  let size = 0;
  const held = new Set<number>();
  const vectors = new Set<bigint>();

  const unknownSlot = (slot: Slot): void => {
    inline = false;
    if (!isX87(slot)) opaque = true;
  };
  const use = (value: Value, named: boolean): void => {
    size += 1;
    lastUse.set(value.id, position);
    mayFold(value);
    if (value.kind === "const" && value.type === "v128" && value.value !== 0n) vectors.add(value.value);
    if (!named) otherUses.add(value.id);
    if (held.has(value.id)) return;
    if (value.kind === "get" || value.kind === "load" || value.kind === "hostLoad" || value.kind === "hostExchange")
      return;
    visitOperands(value, (operand) => use(operand, named || value.kind === "condition"));
  };
  const foldable = new Set<number>();
  const mayBeFolded = new Map<number, boolean>();
  /** @returns whether a value may turn out to be a constant, or part of it. */
  const mayFold = (value: Value): boolean => {
    if (value.kind === "const" || value.kind === "field") return true;
    const seen = mayBeFolded.get(value.id);
    if (seen !== undefined) return seen;
    let may = false;
    if (value.kind === "get") may = mayBeZero(value.slot);
    else if (value.kind === "operation") may = value.operands.map(mayFold).includes(true);
    else if (value.kind === "convert") may = mayFold(value.operand);
    else if (value.kind === "condition") mayFold(value.value);
    mayBeFolded.set(value.id, may);
    if (may) foldable.add(value.id);
    return may;
  };
  const define = (value: Value): void => {
    mayFold(value);
    visitOperands(value, (operand) => use(operand, value.kind === "condition"));
    if (value.kind !== "get") held.add(value.id);
    else {
      if (symbolicSlot(value.slot) === undefined) unknownSlot(value.slot);
      if (flagSlots.has(value.slot)) flagReads.add(value.id);
    }
  };
  /** @returns whether the block has to do with the status flags. */
  const walk = (block: Block): boolean => {
    let flags = false;
    for (const statement of block) {
      position += 1;
      size += 1;
      positions.set(statement, position);
      switch (statement.kind) {
        case "define":
          define(statement.value);
          if (statement.value.kind === "get" && flagSlots.has(statement.value.slot)) flags = true;
          continue;
        case "set":
          if (symbolicSlot(statement.slot) === undefined) unknownSlot(statement.slot);
          if (typeof statement.slot !== "number" || isCached(statement.slot)) registerWrites += 1;
          if (flagSlots.has(statement.slot)) {
            flags = true;
            firstFlagWrite = Math.min(firstFlagWrite, position);
          }
          if (statement.slot === State.tlbBank) switchesTlb = true;
          if (unsettles(statement.slot, statement.value)) changesSettled = true;
          break;
        case "flags":
          flags = true;
          firstFlagWrite = Math.min(firstFlagWrite, position);
          statement.operands.forEach((operand) => use(operand, false));
          continue;
        case "loop":
          inline = false;
          break;
        case "host":
          inline = false;
          break;
        case "end":
          if (statement.ending === Ending.again || statement.ending === Ending.next) inline = false;
          break;
        case "call": {
          const effects = routineEffects(statement.routine);
          if (effects.touchesRegisters || effects.asks) inline = false;
          if (effects.touchesRegisters) opaque = true;
          if (effects.switchesTlb) switchesTlb = true;
          if (effects.unsettles) changesSettled = true;
          break;
        }
        default:
      }
      const before: boolean = flags;
      const writesBefore = registerWrites;
      let inner = false;
      visitStatement(
        statement,
        (value) => use(value, false),
        (nested) => (inner = walk(nested) || inner),
      );
      if (inner) flagBlocks.add(statement);
      if (registerWrites > writesBefore && statement.kind === "if") registerBlocks.add(statement);
      flags = before || inner;
    }
    return flags;
  };
  walk(body);
  const forConditions = new Set(
    [...flagReads].filter((id) => !otherUses.has(id) && (lastUse.get(id) ?? 0) <= firstFlagWrite),
  );
  return {
    body,
    uses: countUses(body),
    positions,
    lastUse,
    inline: inline && size < inlineLimit,
    opaque,
    switchesTlb,
    unsettles: changesSettled,
    vectors,
    forConditions,
    flagBlocks,
    registerBlocks,
    foldable,
    held,
    numbers: numberUse(body),
  };
}
