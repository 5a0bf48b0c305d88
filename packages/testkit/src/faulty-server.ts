import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a server may do instead of answering well. */
export type Fault = 'reset' | 'throttle' | 'error' | 'truncate' | 'garble' | 'none'

export interface Answer {
  readonly body: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}

export interface FaultyServer {
  readonly url: string
  /** Paths with query, in the order of asking, whatever came of them. */
  readonly requests: readonly string[]
  /** Decides the fate of the next requests; `none` at first. */
  fault: (path: string, nth: number) => Fault
  /** Answers by path with query; what is not there is 404. May be changed at any time. */
  answer: (path: string) => Answer | undefined
  close(): Promise<void>
}

/** A vendor's web service on this machine, with weather. */
export async function startFaultyServer(answer: FaultyServer['answer'], delayMs = 0): Promise<FaultyServer> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    requests.push(path)
    const fate = state.fault(path, requests.length)
    setTimeout(() => reply(fate, state.answer(path), request, response), delayMs)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const state: FaultyServer = {
    url: `http://127.0.0.1:${port}`,
    requests,
    fault: () => 'none',
    answer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return state
}

function reply(fate: Fault, answer: Answer | undefined, request: IncomingMessage, response: ServerResponse): void {
  if (fate === 'reset') return void request.socket.destroy()
  if (fate === 'throttle') return void response.writeHead(429, { 'retry-after': '1' }).end()
  if (fate === 'error') return void response.writeHead(500).end()
  if (answer === undefined) return void response.writeHead(404).end()
  const { body, headers = {} } = answer
  response.writeHead(200, { ...headers, 'content-length': body.length })
  if (fate === 'truncate') {
    response.write(body.subarray(0, body.length >> 1))
    return void setTimeout(() => request.socket.destroy(), 5)
  }
  response.end(fate === 'garble' ? body.map((byte, i) => (i === body.length >> 1 ? byte ^ 1 : byte)) : body)
}
