import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { OIDC_REASONS, parseOidcIssuer } from './index.ts'
import { IssuerServer, makeServerCertificate, makeSigningKey, pem } from './testing/issuer-server.ts'

const repository = fileURLToPath(new URL('../../../..', import.meta.url))
const page = readFileSync(path.join(repository, 'docs/guide/secret-release.md'), 'utf8')
const block = (language: string) => new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(page)?.[1] ?? ''
const AUDIENCE = 'https://secrets.example'

let directory: string
let issuer: IssuerServer
let server: ChildProcess
let port: number
const { authority, server: certificate } = makeServerCertificate()
const lines: Record<string, unknown>[] = []

beforeAll(async () => {
  issuer = await IssuerServer.start()
  issuer.publish([makeSigningKey('one')])
  directory = mkdtempSync(path.join(tmpdir(), 'vs-secret-'))
  symlinkSync(path.join(repository, 'node_modules'), path.join(directory, 'node_modules'))
  const write = (name: string, text: string) => writeFileSync(path.join(directory, name), text)
  const [trusted] = JSON.parse(block('json')) as Record<string, unknown>[]
  const { keysHost: _, ...ours } = {
    ...trusted,
    issuer: issuer.url,
    certificateAuthorities: issuer.authority,
  } as Record<string, unknown>
  const container = {
    ...(ours['claims'] as object),
    swname: ['CONFIDENTIAL_SPACE'],
    'submods.container.image_digest': ['sha256:ab'],
  }
  write('issuers.json', JSON.stringify([ours, { ...ours, issuer: `${issuer.url}/spaces`, claims: container }]))
  write('secret', 'the secret\n')
  write('server.key', certificate.key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  write('server.crt', pem(certificate))
  write('server.ts', block('ts').replace('8443', '0'))
  server = spawn(process.execPath, ['server.ts'], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    server.once('exit', (code) => reject(new Error(`the server of the guide ended with ${code}`)))
    createInterface({ input: server.stdout! }).on('line', (line) => {
      const entry = JSON.parse(line) as Record<string, unknown>
      lines.push(entry)
      if (entry['event'] === 'listening') {
        port = (entry['address'] as { port: number }).port
        resolve()
      }
    })
  })
})
afterAll(async () => {
  const exited = new Promise((resolve) => server.removeAllListeners('exit').once('exit', resolve))
  server.kill()
  await exited
  await issuer.stop()
  rmSync(directory, { recursive: true, force: true })
})

interface Answer {
  readonly status: number
  readonly body: string
  readonly challenge: string | undefined
}

/** One HTTP request, as curl makes it. */
function get(authorization?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { authorization }
    https
      .get({ host: 'localhost', port, path: '/', ca: authority, headers, agent: false }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
        const challenge = response.headers['www-authenticate']
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body, challenge }))
      })
      .on('error', reject)
  })
}

const claims = () => {
  const now = Math.floor(Date.now() / 1000)
  return {
    aud: AUDIENCE,
    sub: 'projects/my-project/instances/vm-1',
    iat: now,
    exp: now + 600,
    jti: crypto.randomUUID(),
    hwmodel: 'GCP_AMD_SEV',
    swname: 'GCE',
    secboot: true,
    dbgstat: 'disabled-since-boot',
    google_service_accounts: ['worker@my-project.iam.gserviceaccount.com'],
    submods: { gce: { project_id: 'my-project' } },
  }
}
const logOf = (answer: Answer) => lines.find((line) => line['id'] === (JSON.parse(answer.body) as { id: string }).id)

test('VT-09 VT-10 one request with a bearer token gets the secret, and the same token no second time', async () => {
  const token = await issuer.token(claims())
  expect(await get(`Bearer ${token}`)).toMatchObject({ status: 200, body: 'the secret\n' })
  const again = await get(`Bearer ${token}`)
  expect(again.status).toBe(401)
  expect(JSON.parse(again.body)).toMatchObject({ code: 'token.replayed', reason: 'replayed' })
})

test('VT-14 a container workload gets it under the entry for such', async () => {
  const workload = {
    ...claims(),
    swname: 'CONFIDENTIAL_SPACE',
    submods: { gce: { project_id: 'my-project' }, container: { image_digest: 'sha256:ab' } },
  }
  const iss = `${issuer.url}/spaces`
  issuer.answers.set('/spaces/.well-known/openid-configuration', (response) =>
    response.end(JSON.stringify({ issuer: iss, jwks_uri: `${issuer.url}/keys` })),
  )
  expect(await get(`Bearer ${await issuer.token({ ...workload, iss })}`)).toMatchObject({ status: 200 })
  const plain = await get(`Bearer ${await issuer.token({ ...claims(), iss })}`)
  expect(JSON.parse(plain.body)).toMatchObject({ reason: 'claims' })
})

test('VT-11 VT-13 DEF-41 each refusal is exact for the bearer, explained in the log, and leaves the server serving', async () => {
  const now = Math.floor(Date.now() / 1000)
  const bearer = async (change: object) => `Bearer ${await issuer.token({ ...claims(), ...change })}`
  const strange = makeSigningKey('strange')
  const cases: readonly (readonly [
    authorization: string | undefined,
    status: number,
    reason: string,
    logged: string,
  ])[] = [
    [undefined, 401, 'malformed', 'no bearer token'],
    ['Basic dXNlcjpwYXNz', 401, 'malformed', 'no bearer token'],
    ['Bearer nonsense', 401, 'malformed', 'three parts'],
    [await bearer({ iat: now - 700, exp: now - 100 }), 401, 'expired', 'valid until'],
    [await bearer({ iat: now + 100 }), 401, 'not-yet-valid', 'valid from'],
    [`Bearer ${await issuer.token(claims(), { signer: strange })}`, 401, 'unknown-key', 'strange'],
    [await bearer({ aud: 'https://sts.googleapis.com' }), 401, 'audience', 'https://sts.googleapis.com'],
    [
      await bearer({ hwmodel: 'GCP_SHIELDED_VM' }),
      403,
      'claims',
      'hwmodel: expected one of ["GCP_AMD_SEV","GCP_INTEL_TDX"], found "GCP_SHIELDED_VM"',
    ],
    [await bearer({ submods: { gce: { project_id: 'somebody-else' } } }), 403, 'claims', 'somebody-else'],
  ]
  for (const [authorization, status, reason, logged] of cases) {
    const answer = await get(authorization)
    expect([answer.status, JSON.parse(answer.body)], reason).toEqual([status, expect.objectContaining({ reason })])
    expect(answer.challenge).toContain(`error_description="${reason}"`)
    await expect
      .poll(() => logOf(answer))
      .toMatchObject({
        event: 'secret.refused',
        reason,
        path: '/',
        message: expect.stringContaining(logged),
      })
    // what was expected is for the log alone
    expect(answer.body).not.toContain('expected')
  }
  expect(await get(await bearer({}))).toMatchObject({ status: 200 })
})

test('VT-13 DEF-43 what was released is in the log by subject, and no token is', async () => {
  const token = await issuer.token(claims())
  await get(`Bearer ${token}`)
  const id = createHash('sha256').update(token).digest('base64url')
  await expect
    .poll(() => lines.find((line) => line['token'] === id))
    .toMatchObject({
      event: 'secret.released',
      subject: 'projects/my-project/instances/vm-1',
      issuer: issuer.url,
    })
  const log = JSON.stringify(lines)
  for (const part of token.split('.').slice(1)) expect(log).not.toContain(part)
  expect(log).not.toContain('the secret')
})

test('the page shows a configuration that is accepted, and names every reason with its code', () => {
  const [shown] = JSON.parse(block('json')) as unknown[]
  expect(parseOidcIssuer(shown)).toMatchObject({ algorithm: 'RS256', maxLifetimeSeconds: 3600 })
  for (const [reason, code] of Object.entries(OIDC_REASONS)) expect(page).toContain(`| \`${reason}\` | \`${code}\` |`)
})
