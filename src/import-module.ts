/**
 * `import()` from a file of its own: code that comes from a cache (see `spawn-main.ts`) cannot do it.
 * @module
 */

/** Imports a module. */
export const importModule = (url: string): Promise<Record<string, unknown>> => import(url)
