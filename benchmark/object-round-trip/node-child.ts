/** Sends back what it gets. @module */
import { channelToParent } from '../node-channel-child.js'

const channel = channelToParent()
channel.onMessage((message) => channel.send(message))
