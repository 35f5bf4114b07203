/** Random numbers that are the same for the same seed. */

/** A stream of them. */
export interface Random {
  /** 32 bits. */
  word(): number;
  /** A whole number below `limit`. */
  below(limit: number): number;
  /** One of a list. */
  of<T>(list: readonly T[]): T;
  /** True once in `times`. */
  once(times: number): boolean;
}

/** Bob Jenkins' small noncryptographic generator, sfc32 by its later name, seeded with one number. */
export function randomFrom(seed: number): Random {
  let [a, b, c, d] = [0x9e3779b9, seed | 0, 0x243f6a88, 1];
  const word = (): number => {
    const t = (a + b + d++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) word();
  const below = (limit: number): number => word() % limit;
  return {
    word,
    below,
    of: <T>(list: readonly T[]): T => list[below(list.length)] as T,
    once: (times) => below(times) === 0,
  };
}
