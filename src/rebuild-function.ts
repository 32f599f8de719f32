/**
 * Making functions and classes from their definitions and the values they capture.
 * @module
 */
import { Script as Compiled } from 'node:vm'
import { classOf, identify } from './class-identity.js'
import type { Rebuilding } from './codec/index.js'
import { type BoundDefinition, type Definition, parseDefinition, textOf } from './definition.js'
import { UnpicklingError } from './errors.js'
import type { Script } from './inspection.js'
import { importerOf, importMetaOf } from './module-imports.js'

type AnyFunction = Function & Record<string, unknown>

/** Sets the needed variables, sets the captured ones, gives the values of both, makes the function. */
type Parts = [
  (...values: unknown[]) => void,
  (...values: unknown[]) => void,
  () => unknown[],
  () => unknown,
]

/** What the code of a definition was compiled to; each call gives variables of their own. */
type Factory = (meta: object | null, importer: unknown) => Parts

/** A definition that came in, and its code once it was needed. */
interface Known {
  readonly definition: Definition | BoundDefinition
  /** Not yet compiled, or why it cannot be. */
  factory: Factory | UnpicklingError | undefined
}

const known = new Map<string, Known>()
/** How many are remembered, and how long their texts may be together, in characters. */
const REMEMBERED = 1024
const REMEMBERED_TEXT = 16 * 1024 * 1024
let rememberedText = 0

/** A function that was made here: what it is, and how to see its variables. */
export interface Record_ {
  readonly definition: Definition
  readonly values: () => unknown[]
}

const records = new WeakMap<Function, Record_>()
const bound = new WeakMap<Function, readonly unknown[]>()

/** What a function that was made here was made from. */
export const recordOf = (fn: Function): Record_ | undefined => records.get(fn)

/** The function, `this` and arguments that one was bound from that stood in for itself here. */
export const standInParts = (fn: Function): readonly unknown[] | undefined => bound.get(fn)

/** Begins to rebuild a function from its definition. */
export const rebuild = (text: string): Rebuilding => {
  let entry = known.get(text)
  if (entry === undefined) {
    entry = { definition: parseDefinition(text), factory: undefined }
    known.set(text, entry)
    rememberedText += text.length
    for (const oldest of known.keys()) {
      if (known.size <= REMEMBERED && rememberedText <= REMEMBERED_TEXT) break
      known.delete(oldest)
      rememberedText -= oldest.length
    }
  }
  const { definition } = entry
  if (definition.form === 'bound') return new BoundRebuilding(definition)
  entry.factory ??= compile(definition)
  return new FunctionRebuilding(definition, entry.factory)
}

/** How the code of what is made here begins, by which it is known. */
const BEGINNING = '(function node_multiprocessing('

/** Whether a script was compiled here. */
export const isRebuilt = ({ source }: Pick<Script, 'source'>): boolean =>
  source.startsWith(BEGINNING)

const assignments = (names: readonly string[]): string =>
  names.map((name, i) => `${name}=arguments[${i}]`).join(';')

const codeOf = (definition: Definition): { before: string; after: string } => {
  const { form, name, meta, importer, strict, needed, captured } = definition
  const variables = [...needed, ...captured].filter(
    (variable) => form !== 'declaration' || variable !== name,
  )
  const parameters = `${meta ?? '_0'},${importer ?? '_1'}`
  const before =
    `${BEGINNING}${parameters}){${strict ? '"use strict";' : ''}` +
    `${variables.length > 0 ? `var ${variables.join(',')};` : ''}`
  const parts =
    `return[function(){${assignments(needed)}},function(){${assignments(captured)}},` +
    `function(){return[${[...needed, ...captured].join(',')}]},function(){return`
  if (form === 'declaration') return { before, after: `\n${parts} ${name}}]})` }
  const isMember = form === 'method' || form === 'getter' || form === 'setter'
  const [open, close] = isMember ? ['({', '\n})'] : ['(', '\n)']
  return { before: `${before}${parts}${open}`, after: `${close}}]})` }
}

const compile = (definition: Definition): Factory | UnpicklingError => {
  const { source, url, line, column, sourceMap } = definition
  const { before, after } = codeOf(definition)
  try {
    if (sourceMap !== null) announceSourceMap(url, sourceMap)
    return new Compiled(`${before}${source}${after}`, {
      filename: url === '' ? '<anonymous>' : url,
      lineOffset: line,
      columnOffset: column - before.length,
    }).runInThisContext() as Factory
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return new UnpicklingError(`it cannot be compiled here: ${reason}`, { cause })
  }
}

const announced = new Set<string>()

/** Node reads the source maps of modules and of code made from strings, but not of scripts. */
const announceSourceMap = (url: string, sourceMap: string): void => {
  if (announced.has(url) || /[\s'"]/.test(sourceMap) || /\s/.test(url)) return
  announced.add(url)
  try {
    // biome-ignore lint/security/noGlobalEval: it evaluates to nothing.
    globalThis.eval(`0\n//# sourceURL=${url}\n//# sourceMappingURL=${sourceMap}`)
  } catch {
    // The process forbids making code from strings; stacks show the compiled positions then.
  }
}

class FunctionRebuilding implements Rebuilding {
  readonly #definition: Definition
  readonly #factory: Factory | UnpicklingError
  #parts: Parts | undefined
  #fn: AnyFunction | undefined
  #error: UnpicklingError | undefined
  /** A class that this process has already stays as it is. */
  #isOld = false

  constructor(definition: Definition, factory: Factory | UnpicklingError) {
    this.#definition = definition
    this.#factory = factory
  }

  get name(): string {
    return this.#definition.name ?? ''
  }

  get needed(): number {
    return this.#definition.needed.length
  }

  get captured(): number {
    const { captured, fields, prototype, inherits } = this.#definition
    return captured.length + fields.length + prototype.length + (inherits ? 1 : 0)
  }

  define(needed: readonly unknown[]): void {
    const { id } = this.#definition
    const old = id === null ? undefined : classOf(id)
    if (old) {
      this.#fn = old as AnyFunction
      this.#isOld = true
      return
    }
    if (typeof this.#factory !== 'function') this.#error = this.#factory
    else {
      try {
        this.#make(this.#factory, needed)
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        this.#error = new UnpicklingError(`evaluating it failed: ${reason}`, { cause })
      }
    }
  }

  #make(factory: Factory, needed: readonly unknown[]): void {
    const { form, name, id, meta, importer, base } = this.#definition
    const parts = factory(
      meta === null ? null : importMetaOf(base ?? ''),
      importer === null ? null : importerOf(base ?? ''),
    )
    this.#parts = parts
    if (needed.length > 0) parts[0](...needed)
    const made = parts[3]()
    const fn = (
      form === 'method' || form === 'getter' || form === 'setter' ? memberOf(made as object) : made
    ) as AnyFunction
    if (typeof fn !== 'function') throw new TypeError('it is no function')
    if (name !== null && fn.name !== name) {
      Object.defineProperty(fn, 'name', { value: name, configurable: true })
    }
    records.set(fn, { definition: this.#definition, values: parts[2] })
    if (id !== null) identify(fn, id)
    this.#fn = fn
  }

  complete(values: readonly unknown[]): void {
    const fn = this.#fn
    if (this.#isOld || fn === undefined || this.#parts === undefined) return
    const { captured, fields, prototype, inherits } = this.#definition
    const rest = values.slice(captured.length)
    if (captured.length > 0) {
      this.#parts[1](...(rest.length === 0 ? values : values.slice(0, captured.length)))
    }
    if (rest.length === 0) return
    for (const field of fields) set(fn, field, rest.shift())
    const target = fn.prototype as object | undefined
    if (target === undefined || target === null) return
    for (const field of prototype) set(target, field, rest.shift())
    const parent = rest.shift()
    if (inherits && typeof parent === 'function') {
      Object.setPrototypeOf(target, parent.prototype as object | null)
    }
  }

  value(): unknown {
    if (this.#error) throw this.#error
    if (this.#fn === undefined) throw new UnpicklingError('a class is needed to define itself')
    return this.#fn
  }
}

const set = (target: object, name: string, value: unknown): void => {
  Object.defineProperty(target, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  })
}

/** The method or accessor that an object has. */
const memberOf = (holder: object): unknown => {
  const [descriptor] = Object.values(Object.getOwnPropertyDescriptors(holder))
  return descriptor?.value ?? descriptor?.get ?? descriptor?.set
}

class BoundRebuilding implements Rebuilding {
  readonly needed = 0
  readonly captured: number
  readonly name: string
  #values: readonly unknown[] | undefined
  #fn: Function | undefined

  constructor({ name, args }: BoundDefinition) {
    this.name = name
    this.captured = args + 2
  }

  define(): void {}

  complete(values: readonly unknown[]): void {
    this.#values = values
    if (this.#fn !== undefined) {
      bound.set(this.#fn, values)
      return
    }
    const [target, ...rest] = values
    if (typeof target !== 'function') throw new UnpicklingError('what is bound is no function')
    this.#fn = Function.prototype.bind.apply(target, rest as [unknown]) as Function
    this.#setName(this.#fn)
  }

  /** One that is needed before what it is bound to is there, because that refers to it. */
  value(): unknown {
    this.#fn ??= this.#standIn()
    return this.#fn
  }

  #setName(fn: Function): void {
    if (fn.name !== this.name) {
      Object.defineProperty(fn, 'name', { value: this.name, configurable: true })
    }
  }

  #standIn(): Function {
    const parts = (): readonly [Function, unknown, readonly unknown[]] => {
      const [target, thisValue, ...args] = this.#values ?? []
      if (typeof target !== 'function') throw new TypeError(`${this.name} is not complete yet`)
      return [target, thisValue, args]
    }
    const fn = function (...more: unknown[]): unknown {
      const [target, thisValue, args] = parts()
      return new.target === undefined
        ? Reflect.apply(target, thisValue, [...args, ...more])
        : Reflect.construct(target, [...args, ...more])
    }
    this.#setName(fn)
    bound.set(fn, [])
    return fn
  }
}

export { textOf }
