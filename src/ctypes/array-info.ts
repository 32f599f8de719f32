/**
 * What is known of the types of arrays.
 * @module
 */
import { type DataType, infoOf, type TypeInfo } from './data.js'
import { isFundamental } from './simple.js'

/** The elements as a typed array, where that is what they are in memory. */
export const VIEW: unique symbol = Symbol('view')

/** What is known of the type of an array. */
export interface ArrayInfo {
  readonly element: TypeInfo
  readonly length: number
  /** Whether elements are read as their values. */
  readonly bare: boolean
}

const arrayInfos = new WeakMap<DataType, ArrayInfo>()

/** The class that says which elements there are: it, or one that it extends. */
const holderOf = (type: DataType): DataType & Elements => {
  let at: DataType | null = type
  while (typeof at === 'function') {
    if (Object.hasOwn(at, 'elementType')) return at as DataType & Elements
    at = Object.getPrototypeOf(at)
  }
  throw new TypeError(`${type.name} is an abstract class; see arrayOf()`)
}

/** What a type of arrays has as static properties, so that it can travel by value. */
interface Elements {
  readonly elementType: DataType
  readonly elementCount: number
}

/** What is known of a type of arrays. */
export const arrayInfoOf = (type: DataType): ArrayInfo => {
  let info = arrayInfos.get(type)
  if (info === undefined) {
    const { elementType, elementCount: length } = holderOf(type)
    const element = infoOf(elementType)
    info = { element, length, bare: element.storage !== null && isFundamental(elementType) }
    arrayInfos.set(type, info)
  }
  return info
}

/** What elements a type that `arrayOf` made has, and how many; nothing for other types. */
export const elementsOf = (type: DataType): { type: DataType; length: number } | undefined => {
  if (!Object.hasOwn(type, 'elementType') || !(VIEW in type.prototype)) return undefined
  const { element, length } = arrayInfoOf(type)
  return { type: element.type, length }
}
