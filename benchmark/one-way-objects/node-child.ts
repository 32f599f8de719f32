/** Is told the sizes of the batches; adds up and acknowledges each of them. @module */
import type { SmallMessage } from '../message.js'
import { channelToParent } from '../node-channel-child.js'

const channel = channelToParent()
let sizes: number[] | null = null
let left = 0
let sum = 0

channel.onMessage((message) => {
  if (sizes === null) {
    sizes = [...(message as number[])]
    left = sizes.shift()!
    return
  }
  sum += (message as SmallMessage)[0]
  if (--left > 0) return
  channel.send(sum)
  left = sizes.shift() ?? 0
  sum = 0
})
