import { existsSync } from 'node:fs'
import type { ExecutionContext } from 'ava'
import * as mp from 'node-multiprocessing'
import {
  type Address,
  answerChallenge,
  answerChallengeSync,
  Client,
  ClientSync,
  type Connection,
  deliverChallenge,
  deliverChallengeSync,
  families,
  Listener,
} from 'node-multiprocessing/connection'
import { sayHello, welcome } from '../fixtures/conformance/listener.js'
import type { Calls } from '../helpers/calls.js'
import {
  nothingIsLeftBehind,
  row,
  rowInBothForms,
  rowWithThreadsInBothForms,
} from '../helpers/row.js'
import { untilAsleep } from '../helpers/until.js'

nothingIsLeftBehind()

const accept = async (listener: Listener, { form }: Calls): Promise<Connection> =>
  form === 'Promise' ? await listener.accept() : listener.acceptSync()

const connect = async (address: Address, { form }: Calls): Promise<Connection> =>
  form === 'Promise' ? await Client(address) : ClientSync(address)

const closedRefuses = async (t: ExecutionContext, listener: Listener): Promise<void> => {
  const refused = { instanceOf: mp.OSError, message: 'listener is closed' }
  await t.throwsAsync(listener.accept(), refused)
  t.throws(() => listener.acceptSync(), refused)
}

/** Closes in the end, as a `using` declaration does. */
const using = async <T extends Disposable>(
  resource: T,
  use: (resource: T) => Promise<void> | void,
): Promise<void> => {
  try {
    await use(resource)
  } finally {
    resource[Symbol.dispose]()
  }
}

row('_TestListener.test_multiple_bind', async (t) => {
  for (const family of families) {
    await using(new Listener({ family }), ({ address }) => {
      t.throws(() => new Listener(address, { family }), {
        instanceOf: mp.OSError,
        code: 'EADDRINUSE',
      })
    })
  }
})

rowInBothForms('_TestListener.test_context', async (t, { calls }) => {
  const listener = new Listener()
  await using(listener, async () => {
    await using(await connect(listener.address, calls), async (client) => {
      await using(await accept(listener, calls), async (accepted) => {
        await calls.send(client, 1729)
        t.is(await calls.recv(accepted), 1729)
      })
    })
  })
  await closedRefuses(t, listener)
  t.false(existsSync(listener.address as string))
})

rowInBothForms('_TestListener.test_empty_authkey', async (t, { calls, context }) => {
  const authkey = new Uint8Array(0)
  const listener = new Listener({ authkey })
  await using(listener, async ({ address }) => {
    // A thread in the reference; somebody has to answer while this one blocks.
    const p = new context.Process({
      target: async (at: Address) => {
        const client = await Client(at, { authkey: new Uint8Array(0) })
        await client.send(1729)
        client.close()
      },
      args: [address],
    })
    p.start()
    await using(await accept(listener, calls), async (accepted) => {
      t.true(accepted.trusted)
      t.is(await calls.recv(accepted), 1729)
    })
    await calls.join(p)
    t.is(p.exitcode, 0)
  })
  await closedRefuses(t, listener)
})

rowInBothForms('_TestListener.test_abstract_socket', async (t, { calls }) => {
  const name = `\0something-${process.pid}`
  const listener = new Listener(name)
  await using(listener, async () => {
    t.is(listener.address, name)
    await using(await connect(listener.address, calls), async (client) => {
      await using(await accept(listener, calls), async (accepted) => {
        await calls.send(client, 1729)
        t.is(await calls.recv(accepted), 1729)
      })
    })
  })
  await closedRefuses(t, listener)
})

rowWithThreadsInBothForms('_TestListenerClient.test_listener_client', async (t, { calls, api }) => {
  for (const family of families) {
    await using(new Listener({ family }), async (listener) => {
      const args: [Address, Calls['form']] = [listener.address, calls.form]
      const p = new api.Process({ target: sayHello, args, daemon: true })
      p.start()
      await using(await accept(listener, calls), async (accepted) => {
        t.is(await calls.recv(accepted), 'hello')
      })
      await calls.join(p)
      t.is(p.exitcode, 0)
    })
  }
})

rowWithThreadsInBothForms('_TestListenerClient.test_issue14725', async (t, { calls, api }) => {
  await using(new Listener(), async (listener) => {
    const args: [Address, Calls['form']] = [listener.address, calls.form]
    const p = new api.Process({ target: sayHello, args, daemon: true })
    p.start()
    // It has connected, written and closed by the time that it has ended.
    await calls.join(p)
    await using(await accept(listener, calls), async (accepted) => {
      t.is(await calls.recv(accepted), 'hello')
    })
  })
})

rowWithThreadsInBothForms('_TestListenerClient.test_issue16955', async (t, { calls }) => {
  for (const family of families) {
    await using(new Listener({ family }), async (listener) => {
      await using(await connect(listener.address, calls), async (client) => {
        await using(await accept(listener, calls), async (accepted) => {
          await calls.sendBytes(accepted, Buffer.from('hello'))
          t.true(await calls.poll(client, 1000))
        })
      })
    })
  }
})

/** Answers of a peer that there is not. */
const peerSaying = (...messages: string[]) => {
  const next = (): Buffer => Buffer.from(messages.shift() ?? '')
  return {
    recvBytes: async () => next(),
    recvBytesSync: next,
    sendBytes: async () => {},
    sendBytesSync: () => {},
  }
}

const key = Buffer.from('abc')

row('OtherTest.test_deliver_challenge_auth_failure', async (t) => {
  const refused = { instanceOf: mp.AuthenticationError }
  const bogus = () => peerSaying('something bogus')
  await t.throwsAsync(deliverChallenge(bogus(), key), refused)
  t.throws(() => deliverChallengeSync(bogus(), key), refused)
  await t.throwsAsync(deliverChallenge(bogus(), 'abc' as unknown as Uint8Array), {
    instanceOf: mp.ValueError,
    message: /Authkey must be bytes/,
  })
})

row('OtherTest.test_answer_challenge_auth_failure', async (t) => {
  const refused = { instanceOf: mp.AuthenticationError }
  const bogus = () => peerSaying('#CHALLENGE#', 'something bogus')
  await t.throwsAsync(answerChallenge(bogus(), key), refused)
  t.throws(() => answerChallengeSync(bogus(), key), refused)
  const rejecting = () => peerSaying(`#CHALLENGE#${'x'.repeat(20)}`, 'something bogus')
  const rejected = { instanceOf: mp.AuthenticationError, message: 'digest sent was rejected' }
  await t.throwsAsync(answerChallenge(rejecting(), key), rejected)
  t.throws(() => answerChallengeSync(rejecting(), key), rejected)
})

row('ChallengeResponseTest.test_challengeresponse', async (t) => {
  const authkey = Buffer.from('supadupasecretkey')
  for (const digestName of ['md5', 'sha256', 'sha384', 'sha3_256', 'sha3_384']) {
    const [one, other] = mp.Pipe()
    await Promise.all([
      deliverChallenge(one, authkey, { digestName }),
      answerChallenge(other, authkey),
    ])
    // What an older peer answers: no prefix, and 16 bytes.
    const old = deliverChallenge(one, authkey, { digestName })
    const challenge = (await other.recvBytes()).subarray('#CHALLENGE#'.length)
    t.is(challenge.subarray(0, digestName.length + 2).toString(), `{${digestName}}`)
    const { createHmac } = await import('node:crypto')
    await other.sendBytes(createHmac('md5', authkey).update(challenge).digest())
    await old
    t.is((await other.recvBytes()).toString(), '#WELCOME#')
    // And what it asks.
    const answer = answerChallenge(other, authkey)
    const asked = Buffer.from('is-twenty-bytes-long')
    await one.sendBytes(Buffer.concat([Buffer.from('#CHALLENGE#'), asked]))
    t.deepEqual(await one.recvBytes(), createHmac('md5', authkey).update(asked).digest())
    await one.sendBytes(Buffer.from('#WELCOME#'))
    await answer
    one.close()
    other.close()
  }
})

row('TestInvalidFamily.test_invalid_family', (t) => {
  const refused = { instanceOf: mp.ValueError, message: 'Family AF_PIPE is not recognized.' }
  t.throws(() => new Listener('\\\\.\\test'), refused)
})

rowInBothForms('TestIgnoreEINTR.test_ignore_listener', async (t, { calls, context }) => {
  const [connection, theirs] = context.Pipe()
  const p = new context.Process({ target: welcome, args: [theirs, calls.form], daemon: true })
  p.start()
  theirs.close()
  const address: Address = await calls.recv(connection)
  await untilAsleep(p.pid!)
  process.kill(p.pid!, 'SIGUSR1')
  await untilAsleep(p.pid!)
  await using(await connect(address, calls), async (client) => {
    t.is(await calls.recv(client), 'welcome')
  })
  await calls.join(p)
  t.is(p.exitcode, 0)
  connection.close()
})
