/**
 * The typed arrays that numbers are cut from, and that numpy's arrays become.
 * @module
 */

/** A typed array of any kind that all versions of Node have. */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
