import { fieldLoads } from "../record.ts";
import type { NumberName, SlotName } from "../../x86/semantics.ts";
import type { FieldReader } from "./folding.ts";

/** Reads the numbers of the instruction whose record is at `record`, as the interpreter's loads would (record.ts). */
export function fieldReader(view: DataView, record: number): FieldReader {
  return (name) => {
    const [load, offset] = fieldLoads[name as NumberName | SlotName];
    const at = record + offset;
    if (name === "addressMask") return ((1n << 64n) - 1n) >> BigInt(view.getUint8(at));
    switch (load) {
      case "i32.load8_u":
        return BigInt(view.getUint8(at));
      case "i32.load16_u":
        return BigInt(view.getUint16(at, true));
      case "i64.load":
        return view.getBigInt64(at, true);
      case "i64.load32_s":
        return BigInt(view.getInt32(at, true));
    }
  };
}
