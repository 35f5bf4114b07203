declare const brand: unique symbol;

/**
 * A type that is not interchangeable with its carrier: a `Brand<number, "EventPort">` is a number, but a plain number is
 * not an event port. Used for identifiers whose confusion would be a vulnerability. Costs nothing at run time.
 */
export type Brand<Carrier, Name extends string> = Carrier & { readonly [brand]: Name };
