/**
 * Objects that lie in memory as C lays them out. Mirrors what `multiprocessing.sharedctypes` needs of
 * `ctypes`.
 * @module
 */
export {
  ArrayData,
  type ArrayOf,
  type ArrayType,
  arrayOf,
  CharArray,
  type ElementOf,
  type SequenceFor,
  type SliceOf,
  type TypedArrayOf,
  WideCharArray,
} from './ctypes/array.js'
export { Column } from './ctypes/column.js'
export { alignment, bytesOf, CData, type DataType, sizeof } from './ctypes/data.js'
export {
  BitField,
  type ByteOrder,
  bits,
  type FieldDeclaration,
  type FieldTypes,
  type FieldValue,
  type FieldValues,
  type InitialValues,
  type RecordOptions,
} from './ctypes/declarations.js'
export { type FieldPlace, fieldsOf } from './ctypes/fields.js'
export {
  c_bool,
  c_byte,
  c_char,
  c_double,
  c_float,
  c_int,
  c_int8,
  c_int16,
  c_int32,
  c_int64,
  c_long,
  c_longlong,
  c_short,
  c_size_t,
  c_ssize_t,
  c_ubyte,
  c_uint,
  c_uint8,
  c_uint16,
  c_uint32,
  c_uint64,
  c_ulong,
  c_ulonglong,
  c_ushort,
  c_wchar,
} from './ctypes/fundamental.js'
export {
  BigEndianStructure,
  BigEndianUnion,
  LittleEndianStructure,
  LittleEndianUnion,
  RecordData,
  type RecordType,
  Structure,
  Union,
} from './ctypes/record.js'
export { AtomicData, IntegerData, NumberData, SimpleData } from './ctypes/simple.js'
