import { bitsOf } from "../../ir/types.ts";
import type { Value } from "../../ir/node.ts";
import type { Type } from "../../ir/types.ts";
import { readAddressed, writeAddressed } from "../addressed-register.ts";
import { FlagBit } from "../eflags.ts";
import { instruction } from "../instruction.ts";
import type { Operand } from "../operand.ts";
import { requirePorts } from "../routines/port-access.ts";
import type { Semantics } from "../semantics.ts";
import { State } from "../state.ts";
import { destinationAddress, sourceAddress } from "../string-chunk.ts";

function bytesOf(ir: Semantics, type: Type): Value {
  return ir.const("i32", bitsOf[type] / 8);
}

function read(ir: Semantics, port: Value, type: Type): Value {
  const bytes = bytesOf(ir, type);
  ir.call(requirePorts, port, bytes);
  return ir.resize(ir.host("portIn", port, bytes), type);
}

/** IN — Intel SDM Vol. 2A, "IN—Input From Port". */
export const input = instruction({
  mnemonic: "in",
  encodings: ["E4  AL,Ib  system", "E5  eAX,Ib  system", "EC  AL,DX  system", "ED  eAX,DX  system"],
  semantics(ir, destination, port) {
    destination.write(read(ir, ir.zext(port.read(), "i32"), destination.type));
  },
});

function write(ir: Semantics, port: Operand, source: Operand): void {
  const number = ir.zext(port.read(), "i32");
  const bytes = bytesOf(ir, source.type);
  ir.call(requirePorts, number, bytes);
  ir.host("portOut", number, bytes, ir.zext(source.read(), "i32"));
}

/** OUT — Intel SDM Vol. 2B, "OUT—Output to Port". */
export const output = instruction({
  mnemonic: "out",
  encodings: ["E6  Ib,AL  system", "E7  Ib,eAX  system", "EE  DX,AL  system", "EF  DX,eAX  system"],
  semantics: write,
});

/** Moves rSI or rDI by one element, as DF says. */
function advance(ir: Semantics, name: "rsi" | "rdi", type: Type): void {
  const bytes = bitsOf[type] / 8;
  const backward = ir.ne(ir.and(ir.get("i32", State.flags), FlagBit.df), 0);
  const by = ir.select(backward, ir.const("i64", -bytes), ir.const("i64", bytes));
  writeAddressed(ir, name, ir.add(readAddressed(ir, name), by));
}

/** One element of a string instruction; under REP, rCX counts, and each element is an execution of its own. */
function repeated(ir: Semantics, element: () => void): void {
  if (ir.form.repeat === "none") {
    element();
    return;
  }
  const count = readAddressed(ir, "rcx");
  ir.if(ir.ne(count, 0), () => {
    element();
    const left = ir.hold(ir.sub(count, 1));
    writeAddressed(ir, "rcx", left);
    ir.if(ir.ne(left, 0), () => ir.end("again"));
  });
}

/** The port in DX, found to be permitted: even a repetition of no elements needs that. */
function checkedPort(ir: Semantics, type: Type): { number: Value; bytes: Value } {
  const number = ir.hold(ir.zext(ir.gpr("rdx", "i16"), "i32"));
  const bytes = bytesOf(ir, type);
  ir.call(requirePorts, number, bytes);
  return { number, bytes };
}

function ins(ir: Semantics, type: Type): void {
  const { number, bytes } = checkedPort(ir, type);
  repeated(ir, () => {
    const address = destinationAddress(ir, type, "write");
    // A port that has been read cannot be unread.
    ir.probeWrite(address, bitsOf[type] / 8);
    ir.store(address, ir.resize(ir.host("portIn", number, bytes), type));
    advance(ir, "rdi", type);
  });
}

function outs(ir: Semantics, type: Type): void {
  const { number, bytes } = checkedPort(ir, type);
  repeated(ir, () => {
    const value = ir.load(type, sourceAddress(ir, type));
    ir.host("portOut", number, bytes, ir.zext(value, "i32"));
    advance(ir, "rsi", type);
  });
}

/** Ports have at most 32 bits. */
function portType(ir: Semantics): Type {
  return ir.operandSize === 16 ? "i16" : "i32";
}

/** INS — Intel SDM Vol. 2A, "INS/INSB/INSW/INSD—Input from Port to String". */
export const insb = instruction({
  mnemonic: "insb",
  encodings: ["6C  -  rep asz system"],
  semantics: (ir) => ins(ir, "i8"),
});
export const insw = instruction({
  mnemonic: "ins",
  encodings: ["6D  -  rep asz osz system"],
  semantics: (ir) => ins(ir, portType(ir)),
});
/** OUTS — Intel SDM Vol. 2B, "OUTS/OUTSB/OUTSW/OUTSD—Output String to Port". */
export const outsb = instruction({
  mnemonic: "outsb",
  encodings: ["6E  -  rep asz system"],
  semantics: (ir) => outs(ir, "i8"),
});
export const outsw = instruction({
  mnemonic: "outs",
  encodings: ["6F  -  rep asz osz system"],
  semantics: (ir) => outs(ir, portType(ir)),
});
