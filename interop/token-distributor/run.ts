import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { DistributorConnection, fetchSecrets } from '@vouchsafe/client/distributor'
import { fromUtf8, toBase64, utf8 } from '@vouchsafe/core'
import { missingVectors, readVectorText } from '@vouchsafe/testkit'
import { sealSecret } from 'vouchsafe/distributor'
import { DistributorWorld, SERVER_NAME } from '../../packages/broker/src/testing/distributor-world.ts'

/*
 * Peer: a client and a server of the original's messages on grpc-go, Go's protobuf, go-tpm, go-tpm-tools and Tink, as the
 * Go module proxy serves them (peer/). The original's own programs are not served there, so peers meet at the wire: stock
 * parts, and a .proto with nothing but the original's fields.
 */
const here = fileURLToPath(new URL('peer', import.meta.url))
const directory = mkdtempSync(path.join(tmpdir(), 'vs-interop-td-'))
const program = path.join(directory, 'peer')
execFileSync('go', ['build', '-o', program, '.'], {
  cwd: here,
  stdio: 'pipe',
  env: { ...process.env, GOFLAGS: '-buildvcs=false' },
})

const world = await DistributorWorld.start({ transport: 'mtls', keys: 'rsa' })
const file = (name: string, text: string) => {
  const at = path.join(directory, name)
  writeFileSync(at, text, { mode: 0o600 })
  return at
}
const ca = file('ca.pem', world.servers.certificate)
const cert = file('client.pem', world.client.certificate)
const key = file('client.key', world.client.key)

/** Without blocking, since the server is in this process. */
function peer(
  command: string,
  options: { readonly authorization?: string; readonly certificate?: boolean } = {},
): Promise<string> {
  const args = [
    '-address',
    `${world.grpc.host}:${world.grpc.port}`,
    '-servername',
    SERVER_NAME,
    '-ca',
    ca,
    ...(options.certificate === false ? [] : ['-cert', cert, '-key', key]),
    '-tpm',
    world.machine.dataSocket,
    '-authorization',
    options.authorization ?? `Bearer ${world.document()}`,
    command,
  ]
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 90_000 }, (error, stdout, stderr) => {
      resolve(`${stdout}${error === null ? '' : stderr}`.trim())
    })
  })
}

const oneRegister = () => ({
  certificate: world.thumbprint,
  deliver: { to: 'client-certificate', times: 100 } as const,
  tpm: { registers: world.registers(0), bootLog: 'optional', leastClass: 'simulated' } as const,
})
const exempt = () => ({ ...oneRegister(), tpm: { exemptBecause: 'a client of the original asks before it attests' } })

const keyset = missingVectors()
  ? null
  : (JSON.parse(readVectorText('seed-systems/tink/td-secrets.json')) as { name: string; data: string }[])[1]?.data

let passed = 0
let failed = 0
async function pair(name: string, run: () => Promise<string>, wanted: RegExp): Promise<void> {
  const answer = await run().catch((error: unknown) => `threw ${String(error)}`)
  const good = wanted.test(answer)
  console.log(
    `${good ? 'ok     ' : 'FAILED '} ${name}${good ? '' : `\n        ${answer}\n        wanted ${wanted.source}`}`,
  )
  if (good) passed++
  else failed++
}

let original: ChildProcess | undefined
try {
  await pair('an instance that nobody approved', () => peer('get'), /^status PermissionDenied: InstanceID not Found/)
  await world.provision(oneRegister())
  await pair(
    'make, activate, quote, GetToken: RAW',
    () => peer('attest'),
    /^activated true quoted true\ninResponseTo r1 pcr 0 unknown true\nsecret1 0 fooobar$/,
  )
  await pair('GetToken before any TPM step', () => peer('get'), /^status PermissionDenied: .*\[evidence\.unenrolled\]$/)
  await pair('a guessed credential', () => peer('attest-only=guessed-secret'), /\[enrolment\.credential\]$/)
  await pair('a credential used twice', () => peer('attest-only=secret-twice'), /\[enrolment\.credential\]$/)
  await pair(
    'a quote over another nonce',
    () => peer('attest-only=other-nonce'),
    /quoted false\nstatus PermissionDenied: .*\[evidence\.binding\]$/,
  )
  await pair(
    'a quote of a register that resets',
    () => peer('attest-only=other-register'),
    /quoted false\nstatus PermissionDenied: .*\[evidence\.pcr-selection\]$/,
  )
  await pair('an ordinary signing key as attestation key', () => peer('attest-only=ordinary-key'), /\[evidence\.key\]$/)
  await pair(
    'a signing key certified without nonce or name',
    () => peer('attest-only=signing-key'),
    /\[evidence\.key\]$/,
  )
  await pair(
    'no authorization',
    () => peer('get', { authorization: '' }),
    /^status Unauthenticated: Authorization header not provided$/,
  )
  await pair(
    'another scheme',
    () => peer('get', { authorization: 'Basic x' }),
    /^status Unauthenticated: Authorization Bearer token malformed$/,
  )
  const old = () => world.document({ iat: Math.floor(Date.now() / 1000) - 100 })
  await pair(
    'an old identity document',
    () => peer('get', { authorization: `Bearer ${old()}` }),
    /^status Unauthenticated: IssuedAt Identity document timestamp too old/,
  )
  await pair(
    'one for another audience',
    () => peer('get', { authorization: `Bearer ${world.document({ aud: 'x' })}` }),
    /^status Unauthenticated: authentication required/,
  )
  await pair(
    'no client certificate',
    () => peer('get', { certificate: false }),
    /^status Unavailable: .*(?:certificate required|broken pipe|reset)/,
  )
  await pair('health, without identity document', () => peer('health', { authorization: '' }), /^SERVING$/)

  await world.provision(exempt())
  await pair('an exempt client, as the original asks: GetToken alone', () => peer('get'), /secret1 0 fooobar$/)
  const { facts } = await world.review()
  const pcr0 = { 0: world.machine.registers['0'] ?? '' }
  const blob = sealSecret(utf8('for that TPM'), facts.tpm.endorsementKey ?? '', pcr0, 'direct')
  await world.provision({ ...exempt(), secrets: [{ name: 'sealed', type: 'TPM', data: toBase64(blob) }] })
  await pair('TPM: our blob opens with go-tpm-tools', () => peer('get'), /sealed 1 for that TPM$/)
  if (keyset !== null && keyset !== undefined) {
    await world.provision({ ...exempt(), secrets: [{ name: 'keyset', type: 'TINK', data: keyset }] })
    await pair('TINK: the keyset opens with Tink and is tried once', () => peer('get'), /keyset 2 tried once$/)
  }
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  world.publish({ endorsementKey: publicKey.export({ format: 'pem', type: 'spki' }).toString() })
  await world.provision(oneRegister())
  await pair('another machine’s endorsement key was approved', () => peer('attest'), /\[endorsement\.mismatch\]$/)

  original = spawn(program, [
    '-cert',
    path.join(world.directory, 'server.pem'),
    '-key',
    path.join(world.directory, 'server.key'),
    'serve',
  ])
  original.stdin?.end(JSON.stringify([{ name: 'secret1', type: 'RAW', data: toBase64(utf8('fooobar')) }]))
  const lines: string[] = []
  const listening = new Promise<string>((resolve) => {
    original?.stdout?.on('data', (chunk: Buffer) => {
      lines.push(...chunk.toString().trim().split('\n'))
      resolve(lines[0] ?? '')
    })
  })
  const port = Number((await listening).split(':')[1])
  await pair(
    'our client at a server of the original’s messages',
    async () => {
      const address = { host: '127.0.0.1', port, authority: readFileSync(ca, 'utf8'), serverName: SERVER_NAME }
      const connection = new DistributorConnection(address, async () => world.document())
      try {
        const fetched = await fetchSecrets(connection, { broker: world.pin, instance: world.instance.id, tpm: null })
        while (lines.length < 2)
          await new Promise((resolve) => original?.stdout?.once('data', () => setImmediate(resolve)))
        return `${fetched.secrets.map((s) => `${s.name} ${s.type} ${fromUtf8(s.value)}`).join()} | ${lines.slice(1).join()}`
      } finally {
        connection.close()
      }
    },
    /^secret1 RAW fooobar \| request true Bearer unknown false$/,
  )
} finally {
  original?.kill('SIGTERM')
  await world.stop()
  rmSync(directory, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
