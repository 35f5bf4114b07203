import type { Builder } from "../ir/builder.ts";
import type { Value } from "../ir/node.ts";
import type { ArithmeticOperation } from "./softfloat/arithmetic.ts";
import { double } from "./softfloat/format.ts";
import type { Format } from "./softfloat/format.ts";
import { anySign, everyLane, none, outsideLanes, vectorName } from "./sse-fast.ts";

/**
 * Whether rounded results are exact, found out with more roundings: error-free transformations of floating-point numbers
 * (Dekker, "A floating-point technique for extending the available precision", 1971). All lanes of vectors count.
 */

type Binary = "add" | "sub" | "mul";

function arithmetic(ir: Builder, format: Format) {
  const operation = (name: Binary) => (a: Value, b: Value) => ir.hold(ir.op(vectorName(format, name), [a, b]));
  return { add: operation("add"), sub: operation("sub"), mul: operation("mul") };
}
function areEqual(ir: Builder, format: Format, pairs: readonly (readonly [Value, Value])[]): Value {
  const differ = pairs.map(([a, b]) => ir.op("v128.not", [ir.op(vectorName(format, "eq"), [a, b])]));
  return none(ir, differ);
}

/** r = a + b: what rounding has taken from either operand is nothing. */
function isExactSum(ir: Builder, format: Format, a: Value, b: Value, r: Value): Value {
  const { sub } = arithmetic(ir, format);
  return areEqual(ir, format, [
    [sub(r, a), b],
    [sub(r, b), a],
  ]);
}

/** The halves of doubles: 26 bits each, one of them the low one's sign. */
function halves(ir: Builder, value: Value): readonly [high: Value, low: Value] {
  const { sub, mul } = arithmetic(ir, double);
  // 2^27 + 1.
  const scaled = mul(value, everyLane(ir, double, 0x41a0000002000000n));
  const high = sub(scaled, sub(scaled, value));
  return [high, sub(value, high)];
}
/** What rounding took from products of doubles, p = a × b, none of which is near the ends of the range. */
function lostOfProduct(ir: Builder, a: Value, b: Value, p: Value): Value {
  const { add, sub, mul } = arithmetic(ir, double);
  const [[aHigh, aLow], [bHigh, bLow]] = [halves(ir, a), halves(ir, b)];
  const middle = add(add(sub(mul(aHigh, bHigh), p), mul(aHigh, bLow)), mul(aLow, bHigh));
  return add(middle, mul(aLow, bLow));
}

/**
 * Calls `then` with whether `result`, which is a number that has raised nothing but perhaps PE, is exact, where that can be
 * found out: always for sums, else for doubles of the middle half of the exponents.
 */
export function whereExactness(
  ir: Builder,
  operation: ArithmeticOperation,
  format: Format,
  operands: readonly Value[],
  result: Value,
  then: (exact: Value) => void,
): void {
  const [first, second] = operands as [Value, Value];
  if (operation === "add" || operation === "sub") {
    const negative = () => ir.hold(ir.op("v128.xor", [second, everyLane(ir, format, 1n << BigInt(format.bits - 1))]));
    then(isExactSum(ir, format, first, operation === "add" ? second : negative(), result));
    return;
  }
  if (format !== double) return;
  const { mul } = arithmetic(ir, format);
  const zero = ir.const("v128", 0);
  const among = { mul: [first, second], div: [second], sqrt: [] }[operation];
  const odd = [
    ...among.map((each) => outsideLanes(ir, format, each, "operand")),
    outsideLanes(ir, format, result, "result"),
  ];
  ir.if(ir.eqz(anySign(ir, { format, packed: true }, odd)), () => {
    if (operation === "mul") {
      then(areEqual(ir, format, [[lostOfProduct(ir, first, second, result), zero]]));
      return;
    }
    // A quotient or root is exact where the product of it is the operand, and that is exact.
    const [factor, whole] = operation === "div" ? [second, first] : [result, first];
    const product = mul(result, factor);
    then(areEqual(ir, format, [[product, whole], [lostOfProduct(ir, result, factor, product), zero]])); // prettier-ignore
  });
}
