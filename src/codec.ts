/**
 * @internal The codec alone, for its tests and benchmark.
 * @module
 */
export * from './codec/index.js'
