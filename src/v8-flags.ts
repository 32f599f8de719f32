/**
 * The flags of V8, changed as the program runs.
 * @module
 */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** `node:v8` brings all of Node's streams along, some 3 ms, and most processes never need it. */
const v8 = (): typeof import('node:v8') => require('node:v8')

/** Has the next {@link setFlags} find what it needs. */
export const readySetFlags = (): void => {
  v8()
}

/** Sets flags of V8, as on its command line. */
export const setFlags = (flags: string): void => v8().setFlagsFromString(flags)
