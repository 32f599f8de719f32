/**
 * What only the debugger knows about a function: the script it was compiled from, and the variables it
 * sees. The inspector runs inside this process and never pauses it.
 * @module
 */
import type { Debugger, Session } from 'node:inspector'
import { createRequire } from 'node:module'
import { moduleScriptOf } from './scripts.js'

/** A script that V8 has compiled. */
export interface Script {
  readonly id: string
  /** Its URL; empty for code that came from no file. */
  readonly url: string
  /** Whether it was compiled as an ES module. */
  readonly isModule: boolean
  /** Its text as it was compiled, after any loader had its way with it. */
  readonly source: string
  /** The line and column, from 0, that its first character counts as. */
  readonly startLine: number
  readonly startColumn: number
  /** What its source says about where its source map is; empty when it says nothing. */
  readonly sourceMapUrl: string
}

/** Variables that a function sees, by name, with their present values. */
export interface Scope {
  /** Such as `Block`, `Closure (name)`, `Module`, `Script` or `Global`. */
  readonly description: string
  /** Reading a variable that is not initialized yet throws, in Node 22 and later. */
  readonly object: Record<string, unknown>
}

/** Where a function comes from. */
export interface Origin {
  readonly script: Script
  /** Where in its source its parameters, or its body, begin: a place within the function, in characters. */
  readonly place: number
  /** The variables it sees, the nearest first. */
  scopes(): readonly Scope[]
  /** The variables at the top of its module, if it was compiled as one. */
  moduleVariables(): Record<string, unknown> | undefined
}

/** What a bound function is made of. */
export interface BoundParts {
  readonly target: Function
  readonly thisValue: unknown
  readonly args: readonly unknown[]
}

interface RemoteObject {
  objectId?: string
  value?: unknown
}
interface InternalProperty {
  name: string
  value?: RemoteObject
}
interface Location {
  scriptId: string
  lineNumber: number
  columnNumber: number
}
type ScriptParsed = Debugger.ScriptParsedEventDataType

/** The inspector's name for what it shows us. */
const GROUP = 'node-multiprocessing'

const HAND = Symbol.for('node-multiprocessing.inspected')
const hand = globalThis as { [HAND]?: unknown }
const IN_HAND = `globalThis[Symbol.for('node-multiprocessing.inspected')]`

let session: Session | undefined
const parsed = new Map<string, ScriptParsed>()

/** Sources asked for; their scripts may be gone one day, so they are few. */
const scripts = new Map<string, Script>()
const REMEMBERED_SCRIPTS = 128

/** Everything posted is answered before the call returns, as the session is in this thread. */
const post = <T>(method: string, parameters: object = {}): T => {
  let answer: { error: Error | null; result: unknown } | undefined
  session!.post(method, parameters, (error, result) => {
    answer = { error, result }
  })
  if (answer === undefined || answer.error) {
    throw new Error(`the inspector does not answer ${method}`, { cause: answer?.error })
  }
  return answer.result as T
}

let depth = 0

const inspected = <T>(work: () => T): T => {
  if (!session) {
    const inspector = createRequire(import.meta.url)(
      'node:inspector',
    ) as typeof import('node:inspector')
    session = new inspector.Session()
    session.connect()
    session.on('Debugger.scriptParsed', ({ params }) => {
      parsed.set(params.scriptId, params)
    })
  }
  depth++
  try {
    return work()
  } finally {
    // What the inspector has shown it would hold for ever.
    if (--depth === 0) post('Runtime.releaseObjectGroup', { objectGroup: GROUP })
    delete hand[HAND]
  }
}

const remember = (script: Script): Script => {
  if (scripts.size >= REMEMBERED_SCRIPTS) scripts.delete(scripts.keys().next().value!)
  scripts.set(script.id, script)
  return script
}

/** The debugger tells of scripts only when it is enabled, which makes compiled code slower: not for long. */
const debuggedScript = (id: string): Script | undefined => {
  post('Debugger.enable')
  try {
    const about = parsed.get(id)
    if (!about) return undefined
    const { scriptSource: source } = post<{ scriptSource: string }>('Debugger.getScriptSource', {
      scriptId: id,
    })
    const { url, isModule = false, startLine, startColumn, sourceMapURL = '' } = about
    return { id, url, isModule, source, startLine, startColumn, sourceMapUrl: sourceMapURL }
  } finally {
    post('Debugger.disable')
    // All are told of anew the next time.
    parsed.clear()
  }
}

const internalsOf = (value: unknown): ReadonlyMap<string, RemoteObject | undefined> => {
  hand[HAND] = value
  const { result } = post<{ result: RemoteObject }>('Runtime.evaluate', {
    expression: IN_HAND,
    objectGroup: GROUP,
  })
  const { internalProperties = [] } = post<{ internalProperties?: InternalProperty[] }>(
    'Runtime.getProperties',
    { objectId: result.objectId, ownProperties: true },
  )
  return new Map(internalProperties.map(({ name, value }) => [name, value]))
}

/** The debugger's picture of something is an object like any other, which can be handed over. */
const handOver = (remote: RemoteObject | undefined): unknown => {
  if (remote?.objectId === undefined) return remote?.value
  const functionDeclaration = `function () { 'use strict'; ${IN_HAND} = this }`
  post('Runtime.callFunctionOn', {
    objectId: remote.objectId,
    functionDeclaration,
    objectGroup: GROUP,
  })
  return hand[HAND]
}

/**
 * Where a function or class was compiled; nothing for native and bound functions. `use` is called while
 * the answer can be asked for more.
 */
export const withOrigin = <T>(fn: Function, use: (origin: Origin | undefined) => T): T =>
  inspected(() => {
    const internals = internalsOf(fn)
    const location = internals.get('[[FunctionLocation]]')?.value as Location | undefined
    if (!location) return use(undefined)
    let scopes: readonly Scope[] | undefined
    const seen = (): readonly Scope[] => {
      scopes ??= Array.from(handOver(internals.get('[[Scopes]]')) as ArrayLike<Scope>)
      return scopes
    }
    const moduleScope = (): Scope | undefined =>
      seen().find(({ description }) => description.startsWith('Module'))
    const id = location.scriptId
    const find = (): Script | undefined =>
      moduleScriptOf(
        fn,
        id,
        (source) => offsetOf({ source, startLine: 0, startColumn: 0 }, location),
        () => moduleScope() !== undefined,
        post,
      ) ?? debuggedScript(id)
    let script = scripts.get(id)
    if (!script) {
      script = find()
      if (!script) return use(undefined)
      remember(script)
    }
    return use({
      script,
      place: offsetOf(script, location),
      scopes: seen,
      moduleVariables: () => moduleScope()?.object,
    })
  })

const offsetOf = (
  { source, startLine, startColumn }: Pick<Script, 'source' | 'startLine' | 'startColumn'>,
  { lineNumber, columnNumber }: Location,
): number => {
  // Whatever V8 counts as the end of a line.
  const end = /\r\n|[\n\r\u2028\u2029]/g
  for (let line = startLine; line < lineNumber; line++) end.exec(source)
  const start = end.lastIndex
  return start + columnNumber - (lineNumber === startLine ? startColumn : 0)
}

/** What a bound function is made of; nothing for others. */
export const boundParts = (fn: Function): BoundParts | undefined =>
  inspected(() => {
    const internals = internalsOf(fn)
    if (!internals.has('[[TargetFunction]]')) return undefined
    const args = Array.from(handOver(internals.get('[[BoundArgs]]')) as ArrayLike<unknown>)
    const target = handOver(internals.get('[[TargetFunction]]')) as Function
    return { target, thisValue: primitiveOr(internals.get('[[BoundThis]]')), args }
  })

/** The inspector writes some primitives as text, as JSON has no way to. */
const primitiveOr = (
  remote: (RemoteObject & { unserializableValue?: string; type?: string }) | undefined,
): unknown => {
  const text = remote?.unserializableValue
  if (text === undefined) return handOver(remote)
  return text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text)
}

/** The value of a variable, and whether it has one yet. */
export const readVariable = (
  scope: Record<string, unknown>,
  name: string,
): { readonly value: unknown } | undefined => {
  try {
    return { value: scope[name] }
  } catch {
    return undefined
  }
}
