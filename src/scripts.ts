/**
 * The script that a function was compiled from, without the debugger: that one hashes all that was ever
 * compiled when it is enabled first, 15 ms for what Node itself consists of.
 * @module
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import type { Script } from './inspection.js'
import { setFlags } from './v8-flags.js'

const require = createRequire(import.meta.url)

/** What V8 can tell of a function. */
interface Natives {
  /** The text of its script; something else for a function that has none. */
  readonly source: (fn: Function) => unknown
  /** Where in it its parameters begin. */
  readonly position: (fn: Function) => number
}

/** Functions that V8's own tests use; they are compiled once, and nothing else is while they can be. */
const compileNatives = (): Natives | undefined => {
  setFlags('--allow-natives-syntax')
  try {
    return {
      source: new Function('fn', 'return %FunctionGetScriptSource(fn)') as Natives['source'],
      position: new Function(
        'fn',
        'return %FunctionGetScriptSourcePosition(fn)',
      ) as Natives['position'],
    }
  } catch {
    // A V8 without them, or a program that forbids code from strings.
    return undefined
  } finally {
    setFlags('--no-allow-natives-syntax')
  }
}

let natives: Natives | null | undefined

/** The text of a function's script, and where in it its parameters begin; nothing where V8 does not tell. */
const askNatives = (fn: Function): { source: unknown; position: number } | undefined => {
  natives ??= compileNatives() ?? null
  const ask = () => natives && { source: natives.source(fn), position: natives.position(fn) }
  try {
    return ask() ?? undefined
  } catch {
    // Of functions that have not been called for a while V8 drops what it has compiled, and these cannot be
    // compiled again as they are.
    natives = compileNatives() ?? null
    return ask() ?? undefined
  }
}

/** Asks the inspector something; see `inspection.ts`. */
type Post = <T>(method: string) => T

interface Coverage {
  readonly result: readonly { readonly scriptId: string; readonly url: string }[]
}

const urls = new Map<string, string>()

/** The profiler knows scripts too, those that have run. */
const urlOf = (id: string, post: Post): string | undefined => {
  if (!urls.has(id)) {
    for (const { scriptId, url } of post<Coverage>('Profiler.getBestEffortCoverage').result) {
      urls.set(scriptId, url)
    }
  }
  return urls.get(id)
}

/** A line of a script that says where its source map is; the last one counts. */
const SOURCE_MAP = /^.*\/\/[#@][ \t]sourceMappingURL=[ \t]*([^\s'"]*)[ \t]*$/gm

/**
 * The script of a function, if it is a module's file from its beginning to its end; nothing where only
 * the debugger can tell.
 *
 * @param fn - A function that was compiled.
 * @param id - Its script.
 * @param place - Where it begins in a text, by what the inspector says of line and column.
 * @param hasModuleScope - Whether it sees variables of an ES module; those that capture none need not.
 * @param post - Asks the inspector.
 */
export const moduleScriptOf = (
  fn: Function,
  id: string,
  place: (source: string) => number,
  hasModuleScope: () => boolean,
  post: Post,
): Script | undefined => {
  const { source, position } = askNatives(fn) ?? {}
  if (typeof source !== 'string' || position !== place(source)) return undefined
  const url = urlOf(id, post)
  if (!url?.startsWith('file:')) return undefined
  const isModule = hasModuleScope() || isModuleByItsFile(url, source)
  if (isModule === undefined) return undefined
  const sourceMapUrl = [...source.matchAll(SOURCE_MAP)].at(-1)?.[1] ?? ''
  return { id, url, isModule, source, startLine: 0, startColumn: 0, sourceMapUrl }
}

/** Whether a file was compiled as an ES module, where that is certain: nothing where it is not. */
const isModuleByItsFile = (url: string, source: string): boolean | undefined => {
  if (/\.m[jt]s$/.test(url)) return true
  if (/\.c[jt]s$/.test(url)) return false
  const loaded = require.cache[fileURLToPath(url)]
  // `require` keeps the ES modules it has loaded in the same place.
  if (loaded !== undefined) return types.isModuleNamespaceObject(loaded.exports)
  return HAS_MODULE_SYNTAX.test(source) ? true : undefined
}

/** A line that would not compile in anything but an ES module. */
const HAS_MODULE_SYNTAX = /^(?:import\b(?!\s*[.(])|export\b)/m
