/**
 * Functions that come with the runtime: the language's globals and the exports of Node's own modules.
 * @module
 */
import { builtinModules, createRequire } from 'node:module'
import type { Reference } from './codec/index.js'

const require = createRequire(import.meta.url)

/** Importing these warns, or has effects; those listed with their prefix are new, and often experiments. */
const NOT_LOOKED_INTO = /^_|^node:|^(?:punycode|sys|wasi|inspector|trace_events)(?:\/|$)/

let globals: Map<unknown, Reference> | undefined
let known: Map<unknown, Reference> | undefined

/**
 * Where a function of the runtime is found. The first call for one that is no global imports what Node
 * has, some 50 ms.
 */
export const runtimeReference = (fn: unknown): Reference | undefined =>
  globalReference(fn) ?? moduleReference(fn)

/** Where a function of the language or another global is found. */
const globalReference = (fn: unknown): Reference | undefined => {
  globals ??= everyGlobal()
  return globals.get(fn)
}

const moduleReference = (fn: unknown): Reference | undefined => {
  known ??= everyFunction()
  return known.get(fn)
}

/** Whether a function has no source: it is the engine's own, or bound. */
export const isNativeCode = (fn: object): boolean =>
  /\{\s*\[native code\]\s*\}\s*$/.test(Function.prototype.toString.call(fn))

const everyFunction = (): Map<unknown, Reference> => {
  const found = new Map<unknown, Reference>()
  for (const specifier of builtinModules) {
    if (NOT_LOOKED_INTO.test(specifier)) continue
    const module = `node:${specifier}`
    const exports: unknown = require(module)
    note(found, exports, { module, path: ['default'] })
    noteAll(found, exports, module, ['default'])
  }
  return found
}

const everyGlobal = (): Map<unknown, Reference> => {
  const found = new Map<unknown, Reference>()
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const value = ownValue(globalThis, name)
    note(found, value, { module: 'global:', path: [name] })
    if (value === globalThis) continue
    noteAll(found, value, 'global:', [name])
    if (typeof value === 'function') {
      noteAll(found, ownValue(value, 'prototype'), 'global:', [name, 'prototype'])
    }
  }
  return found
}

const noteAll = (
  found: Map<unknown, Reference>,
  holder: unknown,
  module: string,
  path: string[],
): void => {
  if ((typeof holder !== 'object' && typeof holder !== 'function') || holder === null) return
  for (const name of Object.getOwnPropertyNames(holder)) {
    note(found, ownValue(holder, name), { module, path: [...path, name] })
  }
}

const note = (found: Map<unknown, Reference>, value: unknown, reference: Reference): void => {
  if (typeof value === 'function') found.set(value, reference)
}

/** The value of a property, unless it takes running code to know it. */
const ownValue = (holder: object, name: string): unknown =>
  Object.getOwnPropertyDescriptor(holder, name)?.value
