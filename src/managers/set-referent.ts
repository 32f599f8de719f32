/**
 * Sets in a manager's server, with the methods and errors of Python's.
 * @module
 */
import { KeyError, RuntimeError } from '../errors.js'
import { listed } from './list-referent.js'
import { behind } from './local.js'
import { equal, missing, showSet } from './show-value.js'

type Values = Set<unknown>

/** The set that is equal to what was given; its members are compared as values. */
const setOf = (given: unknown): Values => {
  const values = behind(given)
  if (values instanceof SetReferent) return values.set
  if (values instanceof Set) return values
  return new Set(listed(values))
}

const has = (set: Values, value: unknown): boolean => {
  if (set.has(value)) return true
  if (typeof value !== 'object' || value === null) return false
  for (const member of set) if (equal(member, value)) return true
  return false
}

const remove = (set: Values, value: unknown): boolean => {
  if (set.delete(value)) return true
  if (typeof value !== 'object' || value === null) return false
  for (const member of set) if (equal(member, value)) return set.delete(member)
  return false
}

const union = (one: Values, ...others: Values[]): Values => {
  const all = new Set(one)
  for (const other of others) for (const value of other) if (!has(all, value)) all.add(value)
  return all
}

const intersection = (one: Values, ...others: Values[]): Values =>
  new Set([...one].filter((value) => others.every((other) => has(other, value))))

const difference = (one: Values, ...others: Values[]): Values =>
  new Set([...one].filter((value) => !others.some((other) => has(other, value))))

const symmetricDifference = (one: Values, other: Values): Values =>
  union(difference(one, other), difference(other, one))

const isSubset = (one: Values, other: Values): boolean => {
  for (const value of one) if (!has(other, value)) return false
  return true
}

/** A set. */
export class SetReferent {
  readonly set: Values

  constructor(values: unknown = []) {
    this.set = union(new Set(), setOf(values))
  }

  /** The set that is this one. */
  static over(set: Values): SetReferent {
    const referent = new SetReferent()
    ;(referent as { set: Values }).set = set
    return referent
  }

  __len__(): number {
    return this.set.size
  }

  __contains__(value: unknown): boolean {
    return has(this.set, value)
  }

  *__iter__(): Generator<unknown> {
    const { size } = this.set
    for (const value of this.set) {
      if (this.set.size !== size) throw new RuntimeError('Set changed size during iteration')
      yield value
    }
    if (this.set.size !== size) throw new RuntimeError('Set changed size during iteration')
  }

  __class_getitem__(): never {
    throw new TypeError('types are not subscripted here')
  }

  __or__(other: unknown): Values {
    return union(this.set, setOf(other))
  }

  __ror__(other: unknown): Values {
    return union(setOf(other), this.set)
  }

  __and__(other: unknown): Values {
    return intersection(this.set, setOf(other))
  }

  __rand__(other: unknown): Values {
    return intersection(setOf(other), this.set)
  }

  __sub__(other: unknown): Values {
    return difference(this.set, setOf(other))
  }

  __rsub__(other: unknown): Values {
    return difference(setOf(other), this.set)
  }

  __xor__(other: unknown): Values {
    return symmetricDifference(this.set, setOf(other))
  }

  __rxor__(other: unknown): Values {
    return symmetricDifference(setOf(other), this.set)
  }

  __ior__(other: unknown): void {
    this.update(other)
  }

  __iand__(other: unknown): void {
    this.intersection_update(other)
  }

  __isub__(other: unknown): void {
    this.difference_update(other)
  }

  __ixor__(other: unknown): void {
    this.symmetric_difference_update(other)
  }

  __le__(other: unknown): boolean {
    return isSubset(this.set, setOf(other))
  }

  __ge__(other: unknown): boolean {
    return isSubset(setOf(other), this.set)
  }

  __lt__(other: unknown): boolean {
    return this.set.size < setOf(other).size && this.__le__(other)
  }

  __gt__(other: unknown): boolean {
    return this.set.size > setOf(other).size && this.__ge__(other)
  }

  add(value: unknown): void {
    if (!has(this.set, value)) this.set.add(value)
  }

  clear(): void {
    this.set.clear()
  }

  copy(): Values {
    return new Set(this.set)
  }

  difference(...others: unknown[]): Values {
    return difference(this.set, ...others.map(setOf))
  }

  difference_update(...others: unknown[]): void {
    this.#become(this.difference(...others))
  }

  discard(value: unknown): void {
    remove(this.set, value)
  }

  intersection(...others: unknown[]): Values {
    return intersection(this.set, ...others.map(setOf))
  }

  intersection_update(...others: unknown[]): void {
    this.#become(this.intersection(...others))
  }

  isdisjoint(other: unknown): boolean {
    return intersection(this.set, setOf(other)).size === 0
  }

  issubset(other: unknown): boolean {
    return this.__le__(other)
  }

  issuperset(other: unknown): boolean {
    return this.__ge__(other)
  }

  pop(): unknown {
    for (const value of this.set) {
      this.set.delete(value)
      return value
    }
    throw new KeyError('pop from an empty set')
  }

  remove(value: unknown): void {
    if (!remove(this.set, value)) throw missing(value)
  }

  symmetric_difference(other: unknown): Values {
    return symmetricDifference(this.set, setOf(other))
  }

  symmetric_difference_update(other: unknown): void {
    this.#become(this.symmetric_difference(other))
  }

  union(...others: unknown[]): Values {
    return union(this.set, ...others.map(setOf))
  }

  update(...others: unknown[]): void {
    this.#become(this.union(...others))
  }

  toString(): string {
    return showSet(this.set)
  }

  #become(values: Values): void {
    this.set.clear()
    for (const value of values) this.set.add(value)
  }
}
