import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { LEFT_TO_POLICY, pinPkiRoot, verifyPkiToken, x509 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { afterAll, describe, expect, test } from 'vitest'
import {
  ROOT_PATH,
  SIMULATED_ISSUER,
  SIMULATOR_OID,
  SimulatedTokenAuthority,
  type SimulatedWorkload,
  startRootPage,
  startTokenSocket,
} from './index.ts'

const authority = SimulatedTokenAuthority.create()
const sha256 = createHash('sha256').update(authority.root).digest('hex')
const root = pinPkiRoot(authority.root, { sha256, class: 'simulated', name: 'simulator' }, nodeCrypto)
const workload: SimulatedWorkload = {
  instance: { project: 'p', zone: 'z', name: 'i', id: '1' },
  accounts: ['a@p'],
  image: { reference: 'registry.example/w@sha256:00', digest: 'sha256:00' },
  args: ['/app'],
  env: {},
  overrides: { args: [], env: {} },
  debug: false,
}
const nonce = 'n'.repeat(43)
const expected = { root, issuer: SIMULATED_ISSUER, audience: 'uwear', nonce, at: new Date() }
const request = { audience: 'uwear', nonces: [nonce] }

describe('tokens of the simulator', () => {
  test('HD-03 are self-contained, for the audience and nonce that were asked for, and marked as simulated', async () => {
    const token = await verifyPkiToken(await authority.mint(workload, request), expected, nodeCrypto)
    expect(token).toMatchObject({ class: 'simulated', nonces: [nonce] })
    expect(token.claims).toMatchObject({
      'vouchsafe.simulated': true,
      hwmodel: 'SIMULATED',
      dbgstat: 'disabled-since-boot',
      submods: { container: { image_digest: 'sha256:00' }, gce: { project_id: 'p' } },
    })
  })

  test('carry several nonces as an array', async () => {
    const nonces = [nonce, 'm'.repeat(20)]
    const token = await authority.mint(workload, { audience: 'x', nonces })
    const left = { ...expected, audience: 'x', nonce: LEFT_TO_POLICY } as const
    await expect(verifyPkiToken(token, left, nodeCrypto)).resolves.toMatchObject({ nonces })
  })

  test('of a debug guest say so and have no support attributes; overrides are shown', async () => {
    const changed = { ...workload, debug: true, overrides: { args: ['sh'], env: { A: 'b' } } }
    const { claims } = await verifyPkiToken(await authority.mint(changed, request), expected, nodeCrypto)
    expect(claims['dbgstat']).toBe('enabled')
    expect(claims['submods']).toMatchObject({ container: { cmd_override: ['sh'], env_override: { A: 'b' } } })
    expect(claims['submods']).not.toHaveProperty('confidential_space')
  })

  test.each([
    ['no audience', { audience: '', nonces: [nonce] }],
    ['an audience too long', { audience: 'a'.repeat(513), nonces: [nonce] }],
    ['no nonce', { audience: 'a', nonces: [] }],
    ['seven nonces', { audience: 'a', nonces: Array.from({ length: 7 }, () => nonce) }],
    ['DEF-14 a nonce too short', { audience: 'a', nonces: ['n'.repeat(9)] }],
    ['an empty nonce', { audience: 'a', nonces: [''] }],
    ['a nonce too long', { audience: 'a', nonces: ['n'.repeat(75)] }],
  ])('are refused for %s', async (_what, bad) => {
    await expect(authority.mint(workload, bad)).rejects.toThrow(expect.objectContaining({ code: 'token.request' }))
  })

  test('D02 every certificate carries the mark, so no production root stands above any of them', async () => {
    const token = await authority.mint(workload, request)
    const { x5c } = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { x5c: string[] }
    expect(x5c).toHaveLength(3)
    for (const der of x5c) {
      const { extensions } = x509.parseCertificate(new Uint8Array(Buffer.from(der, 'base64')))
      expect(extensions.has(SIMULATOR_OID)).toBe(true)
    }
    expect(() => pinPkiRoot(authority.root, { sha256, class: 'platform-vtpm', name: 'simulator' }, nodeCrypto)).toThrow(
      expect.objectContaining({ code: 'endorsement.untrusted' }),
    )
  })
})

describe('the token socket', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'vtok-'))
  const socketPath = path.join(directory, 's')
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test('answers the workload it belongs to, by exactly one request, and nobody else may connect', async () => {
    await using socket = await startTokenSocket(authority, workload, socketPath)
    expect(socket.address).toBe(socketPath)
    expect(statSync(socketPath).mode & 0o077).toBe(0)
    const body = JSON.stringify({ audience: 'uwear', nonces: [nonce], token_type: 'PKI' })
    const { status, text } = await send(socketPath, 'POST', '/v1/token', body)
    expect(status).toBe(200)
    await expect(verifyPkiToken(text, expected, nodeCrypto)).resolves.toBeDefined()
    for (const [method, url, refused] of [
      ['GET', '/v1/token', ''],
      ['POST', '/v1/tokens', body],
      ['POST', '/v1/token', '{'],
      ['POST', '/v1/token', 'null'],
      ['POST', '/v1/token', JSON.stringify({ audience: 'uwear', nonces: [nonce] })],
      ['POST', '/v1/token', JSON.stringify({ audience: 'uwear', nonces: [nonce], token_type: 'OIDC' })],
      ['POST', '/v1/token', JSON.stringify({ audience: 'uwear', nonces: nonce, token_type: 'PKI' })],
      ['POST', '/v1/token', JSON.stringify({ audience: 'u', nonces: [nonce], token_type: 'PKI', image: 'sha256:1' })],
      ['POST', '/v1/token', ' '.repeat(20_000)],
    ] as const)
      expect(await send(socketPath, method, url, refused), refused).toMatchObject({ status: 400 })
  })
})

test('HD-02 the root page names the root’s file, and the file is the root', async () => {
  await using page = await startRootPage(authority)
  const { root_ca_uri: uri } = (await (await fetch(`${page.address}${ROOT_PATH}`)).json()) as { root_ca_uri: string }
  const certificate = new X509Certificate(await (await fetch(uri)).text())
  expect(certificate.raw.equals(authority.root)).toBe(true)
  expect((await fetch(`${page.address}/other`)).status).toBe(400)
})

function send(
  socketPath: string,
  method: string,
  url: string,
  body: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = httpRequest({ socketPath, method, path: url }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }))
    })
    call.on('error', reject)
    call.end(body)
  })
}
