/** Is told what will come; receives batches of large buffers and acknowledges each. @module */
import { channelToParent } from '../node-channel-child.js'
import { verifyContents } from './contents.js'

interface Announcement {
  readonly sizes: readonly number[]
  readonly size: number
}

const channel = channelToParent()
let announcement: Announcement | null = null
let batch = 0
let received = 0

channel.onMessage((message) => {
  if (announcement === null) {
    announcement = message as Announcement
    return
  }
  verifyContents(message, announcement.size)
  if (++received < announcement.sizes[batch]!) return
  channel.send(received)
  batch++
  received = 0
})
