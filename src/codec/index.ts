/**
 * The codec: object graphs to bytes and back. The format is described in `format.ts`.
 * @module
 */
export { type DecodeOptions, decode, modulesOf } from './decoder.js'
export { type Encoded, encode, limits, scratchBytes } from './encoder.js'
export { HEADROOM, MAXIMUM_DEPTH, OUT_OF_BAND_THRESHOLD } from './format.js'
export {
  type AnyFunction,
  type BufferTransport,
  bringReducers,
  type CapturedVariable,
  type DecodeContext,
  deferReducers,
  type EncodeContext,
  type FunctionParts,
  type FunctionTransport,
  functionTransport,
  ImportedValue,
  installFunctionTransport,
  isImportable,
  type OwnedHandle,
  type Rebuilding,
  type Reducer,
  type Reference,
  registerBufferTransport,
  registerReducer,
  type TravellingHandle,
  useBufferTransport,
} from './reducers.js'
export { DECODER_SHAPE_LIMIT, ENCODER_SHAPE_BUDGET, encoderShapeBytes } from './shapes.js'
