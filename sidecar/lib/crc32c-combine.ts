// The CRC32C of two pieces one after the other, from the CRC32C of each: nothing has to be read again.
//
// A CRC is a remainder of polynomials over GF(2), so putting n bytes behind a piece multiplies its CRC by x^(8n)
// (RFC 3385, "CRC polynomials"; bits are reflected, x^0 is the highest one).

/** The Castagnoli polynomial, reflected. */
const POLYNOMIAL = 0x82f63b78;
const X_TO_THE_0 = 0x80000000;
const X_TO_THE_8 = 0x00800000;

/** `first` and `second` are checksums as unsigned 32-bit numbers; `secondBytes` is how long the second piece is. */
export function combineCrc32c(first: number, second: number, secondBytes: number): number {
  let shift = X_TO_THE_0;
  let power = X_TO_THE_8;
  for (let rest = secondBytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) shift = multiply(shift, power);
    power = multiply(power, power);
  }
  return (multiply(shift, first) ^ second) >>> 0;
}

function multiply(one: number, other: number): number {
  let product = 0;
  let factor = other;
  for (let bit = X_TO_THE_0; bit !== 0; bit >>>= 1) {
    if ((one & bit) !== 0) product ^= factor;
    factor = (factor & 1) === 1 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return product >>> 0;
}
