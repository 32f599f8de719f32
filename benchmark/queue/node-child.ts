/** Is told the sizes of the batches; counts the bytes of each of them. @module */
import { channelToParent } from '../node-channel-child.js'

const channel = channelToParent()
let sizes: number[] | null = null
let left = 0
let bytes = 0

channel.onMessage((message) => {
  if (sizes === null) {
    sizes = [...(message as number[])]
    left = sizes.shift()!
    return
  }
  bytes += (message as Uint8Array).length
  if (--left > 0) return
  channel.send(bytes)
  left = sizes.shift() ?? 0
  bytes = 0
})
