import { assemble } from "../../src/x86/assemble/assemble.ts";
import { theOpcodeMap } from "../../src/engine/wasm-engine.ts";
import { runtime } from "./runtime.ts";

const address = 0x400000;
const headerBytes = 0x78;

/** A static x86-64 Linux executable with one segment that may be written. System V ABI, "Object Files". */
export function linuxProgram(source: string): Uint8Array {
  const { bytes } = assemble(theOpcodeMap(), `${source}\n${runtime}`, BigInt(address + headerBytes));
  const file = new Uint8Array(headerBytes + bytes.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint32(16, 0x003e_0002, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(address + headerBytes), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, 7, true);
  view.setBigUint64(80, BigInt(address), true);
  view.setBigUint64(88, BigInt(address), true);
  view.setBigUint64(96, BigInt(file.length), true);
  view.setBigUint64(104, BigInt(file.length), true);
  view.setBigUint64(112, 4096n, true);
  file.set(bytes, headerBytes);
  return file;
}
