/**
 * How objects with a C type travel: their type, and their memory. Shared memory travels by handle, so that
 * both sides have the same object; other memory is copied.
 *
 * | state of a type          | type                                                          |
 * | ------------------------ | ------------------------------------------------------------- |
 * | a string                 | the fundamental type, or the class without fields, of that name |
 * | `['swapped', name]`      | the fundamental type with the other byte order                |
 * | `['array', state, n]`    | an array of n                                                 |
 * | `['record', state, …]`   | what `of()` of a class made: its fields and options follow    |
 * | a class                  | a class of the program's                                      |
 * @module
 */
import { registerReducer } from '../codec/index.js'
import { UnpicklingError } from '../errors.js'
import { blockOf } from '../heap.js'
import { arrayOf } from './array.js'
import { elementsOf } from './array-info.js'
import { CData, type DataType, infoOf, sizeof, typeOf } from './data.js'
import type { RecordOptions } from './declarations.js'
import { fundamentalNamed, swappedFundamental, unswapped } from './fundamental.js'
import { MEMORY, memoryOf, OFFSET } from './memory.js'
import { declaredAs, declareRecord, isRoot, rootNamed } from './record.js'
import { isFundamental } from './simple.js'

type TypeState =
  | string
  | DataType
  | readonly ['swapped', string]
  | readonly ['array', TypeState, number]
  | readonly ['record', TypeState, readonly FieldState[], RecordOptions]

type FieldState = readonly [name: string, type: TypeState, bits: number | null]

const stateOf = (type: DataType): TypeState => {
  if (isFundamental(type)) {
    return unswapped(type) === type ? type.name : ['swapped', type.name]
  }
  if (isRoot(type)) return type.name
  const array = elementsOf(type)
  if (array !== undefined) return ['array', stateOf(array.type), array.length]
  const declared = declaredAs(type)
  if (declared === undefined) return type
  const fields = declared.fields.map(
    ([name, field, bits]): FieldState => [name, stateOf(field), bits ?? null],
  )
  return ['record', stateOf(declared.parent), fields, declared.options]
}

const typeFrom = (state: unknown): DataType => {
  if (typeof state === 'function') return state as DataType
  if (typeof state === 'string') {
    const type = fundamentalNamed(state) ?? rootNamed(state)
    if (type !== undefined) return type
  }
  if (Array.isArray(state)) {
    const [what, of, ...rest] = state
    if (what === 'swapped') {
      const type = swappedFundamental(typeFrom(of))
      if (type !== null) return type
    }
    if (what === 'array') return arrayOf(typeFrom(of), rest[0])
    if (what === 'record') return recordFrom(state as unknown as RecordState)
  }
  throw new UnpicklingError('a C type is malformed')
}

type RecordState = Extract<TypeState, readonly ['record', ...unknown[]]>

/** Classes that came in: the same declaration is the same class each time. */
const received = new Map<string, WeakRef<DataType>>()

const recordFrom = (state: RecordState): DataType => {
  const key = keyOf(state)
  const known = received.get(key)?.deref()
  if (known !== undefined) return known
  const [, parent, fields, options] = state
  const types = fields.map(([name, field, bits]) =>
    bits === null ? ([name, typeFrom(field)] as const) : ([name, typeFrom(field), bits] as const),
  )
  const type = declareRecord(typeFrom(parent), types, options)
  received.set(key, new WeakRef(type))
  return type
}

const numbers = new WeakMap<object, number>()
let count = 0

const keyOf = (state: unknown): string =>
  JSON.stringify(state, (_, value) => {
    if (typeof value !== 'function') return value
    if (!numbers.has(value)) numbers.set(value, ++count)
    return { class: numbers.get(value) }
  })

registerReducer(CData, {
  name: 'ctypes.CData',
  trustedOnly: true,
  reduce(object) {
    const { buffer } = object[MEMORY]
    const start = object[OFFSET]
    const type = stateOf(typeOf(object))
    if (blockOf(buffer) !== undefined) return [type, buffer, start]
    return [type, buffer.slice(start, start + sizeof(object)), 0]
  },
  rebuild(state) {
    if (!Array.isArray(state)) throw new UnpicklingError('an object with a C type is malformed')
    const [type, buffer, start] = state as [unknown, unknown, unknown]
    const info = infoOf(typeFrom(type))
    if (
      !(buffer instanceof ArrayBuffer || buffer instanceof SharedArrayBuffer) ||
      !Number.isSafeInteger(start) ||
      (start as number) < 0 ||
      (start as number) + info.size > buffer.byteLength
    ) {
      throw new UnpicklingError(`the memory of a ${info.type.name} is malformed`)
    }
    return info.place(memoryOf(buffer), start as number)
  },
})
