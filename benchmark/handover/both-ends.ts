/** What shows that memory is there: its first and its last byte. @module */

/** Marks both ends. */
export const mark = (bytes: Uint8Array): void => {
  bytes[0] = 1
  bytes[bytes.length - 1] = 2
}

/** What stands at both ends. */
export const endsOf = (bytes: Uint8Array): readonly [number, number] => [
  bytes[0]!,
  bytes[bytes.length - 1]!,
]

/** Makes sure that the marks were seen. */
export const verify = (ends: unknown): void => {
  if (`${ends}` !== '1,2') throw new Error('the other side sees something else')
}
