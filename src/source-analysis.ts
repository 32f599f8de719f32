/**
 * What a function's source says about it: the engine's analysis, remembered for each place.
 * @module
 */

import type { Script } from './inspection.js'
import { native } from './native.js'
import { isRebuilt } from './rebuild-function.js'

type Analyze = typeof native.analyzeFunction

/** What is known about a function at a place of a source. */
export type FunctionAnalysis = NonNullable<ReturnType<Analyze>>

type Kind = Parameters<Analyze>[1]

const kindOf = (script: Script): Kind => {
  if (isRebuilt(script)) return 'script'
  if (script.isModule) return 'module'
  return script.url.startsWith('file:') ? 'commonjs' : 'script'
}

/** What the source of a script says about the function at a place; nothing when there is none. */
export const analyze = (script: Script, place: number): FunctionAnalysis | null => {
  const kind = kindOf(script)
  try {
    return native.analyzeFunction(script.source, kind, place)
  } catch (error) {
    // Who compiles a script as what is not told.
    if (kind === 'module') throw error
    const other = kind === 'script' ? 'commonjs' : 'script'
    return native.analyzeFunction(script.source, other, place)
  }
}
