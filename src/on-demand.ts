/**
 * Parts of this package that many programs do not use: each is a file of its own, which is loaded when
 * something of it is wanted.
 * @module
 */
import { createRequire } from 'node:module'
import type * as Managers from './managers.js'
import type * as Pickle from './pickle.js'

const require = createRequire(import.meta.url)

/** `managers.ts` and what it is made of. */
export const managers = (): typeof Managers => require('./managers.cjs') as typeof Managers

/** `pickle.ts` and what it is made of. */
export const pickle = (): typeof Pickle => require('./pickle.cjs') as typeof Pickle
