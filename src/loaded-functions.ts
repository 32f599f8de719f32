/**
 * Finding a function of a module that is loaded and cannot be imported. In a copy of a process that is the
 * main module as a rule: it was being evaluated when the copy was made, and goes on in the parent alone.
 * @module
 */

import { inspecting } from './inspected-heap.js'
import { withOrigin } from './inspection.js'

/** Any function that was compiled as part of the module at this URL. */
export const functionOf = (url: string): Function | undefined => {
  const found = inspecting(({ allLike, sourceOf }) => {
    const source = sourceOf(url)
    if (source === undefined) return []
    const functions = allLike(Function.prototype) as Function[]
    return functions
      .map((fn) => [textOf(fn), fn] as const)
      .filter(([text]) => text !== '' && source.includes(text))
  })
  // The longer a text, the less likely another module has it, too.
  found.sort(([one], [other]) => other.length - one.length)
  return found.find(([, fn]) => withOrigin(fn, (origin) => origin?.script.url === url))?.[1]
}

const textOf = (fn: unknown): string => {
  if (typeof fn !== 'function') return ''
  const text = Function.prototype.toString.call(fn)
  return text.endsWith('{ [native code] }') ? '' : text
}
