/** Value types, by their byte in the binary format. WebAssembly core specification, "Binary Format — Types". */
export const ValueType = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
export type ValueType = keyof typeof ValueType;

export interface FunctionType {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** Pages of 64 KiB, or elements of a table. */
export interface Limits {
  readonly minimum: number;
  readonly maximum?: number;
  readonly shared?: true;
}
