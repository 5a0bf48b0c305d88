import { afterAll, expect, test } from 'vitest'
import { CommandLine } from './testing/command-line.ts'

const line = new CommandLine()
afterAll(() => line.remove())
const part = (text: string) => Buffer.from(text).toString('base64url')

test('VT-04 the claims of anybody’s token are decoded for viewing, and said not to be verified', async () => {
  const [header, claims] = ['{"alg":"RS256","kid":"k","typ":"JWT"}', '{"iss":"https://i","hwmodel":"GCP_AMD_SEV"}']
  line.write('token', `${part(header)}.${part(claims)}.AAAA\n`)
  expect(await line.answer('token', 'inspect', 'token')).toEqual({
    verified: false,
    header: { alg: 'RS256', kid: 'k', typ: 'JWT' },
    payload: { iss: 'https://i', hwmodel: 'GCP_AMD_SEV' },
  })
  expect((await line.run('token', 'inspect', 'token')).stdout).toMatch(/^NOT VERIFIED\n/)
})

test('what is no token, or says one thing twice, is refused', async () => {
  for (const bad of ['', 'x.y.z', `${part('{}')}.${part('{"aud":"a","aud":"b"}')}.`]) {
    line.write('token', bad)
    expect(await line.refusal('token', 'inspect', 'token')).toMatchObject({ status: 3 })
  }
})
