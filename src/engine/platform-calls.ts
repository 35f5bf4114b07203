import { State } from "../x86/state.ts";
import type { ContextView } from "./context.ts";
import type { Platform } from "./engine.ts";
import type { HostFunction } from "./linker.ts";

/**
 * How WebAssembly asks the platform: by name, with i32s; longer values pass through the state.
 * @param codeWritten Told of a write to a frame with code, by its byte address.
 */
export function platformCalls(
  platform: Platform,
  state: ContextView,
  codeWritten: (address: number) => void,
): Record<string, HostFunction> {
  const size = (bytes: number) => bytes as 1 | 2 | 4 | 8;
  return {
    cpuid: (_, leaf = 0, subleaf = 0) => {
      platform
        .cpuid(leaf >>> 0, subleaf >>> 0)
        .forEach((value, index) => state.setU32(State.scratch + index * 4, value));
      return 0;
    },
    rdmsr: (_, index = 0) => {
      const value = platform.rdmsr(index >>> 0);
      if (value === undefined) return 1;
      state.setU64(State.hostValue, value);
      return 0;
    },
    wrmsr: (_, index = 0) => (platform.wrmsr(index >>> 0, state.u64(State.hostValue)) ? 0 : 1),
    portIn: (_, port = 0, bytes = 1) => platform.portIn(port & 0xffff, bytes as 1 | 2 | 4) | 0,
    portOut: (_, port = 0, bytes = 1, value = 0) => {
      platform.portOut(port & 0xffff, bytes as 1 | 2 | 4, value >>> 0);
      return 0;
    },
    timestamp: () => {
      state.setU64(State.hostValue, BigInt(platform.timestamp()));
      return 0;
    },
    readCr8: () => Number((platform.mmioRead(0xfee00080, 4) >> 4n) & 15n),
    writeCr8: (_, value = 0) => {
      platform.mmioWrite(0xfee00080, 4, BigInt(value & 15) << 4n);
      return 0;
    },
    mmioRead: (_, bytes = 1) => {
      state.setU64(State.hostValue, platform.mmioRead(Number(state.u64(State.hostValue)), size(bytes)));
      return 0;
    },
    mmioWrite: (_, bytes = 1) => {
      platform.mmioWrite(
        Number(state.u64(State.hostValue)),
        size(bytes),
        BigInt.asUintN(bytes * 8, state.u64(State.hostValue2)),
      );
      return 0;
    },
    codeWritten: (_, address = 0) => {
      codeWritten(address);
      return 0;
    },
  };
}
