/**
 * The codec alone, for its tests and benchmark; not exported by the package.
 * @module
 */
export * from './codec/index.js'
