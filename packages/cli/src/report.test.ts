import { ImageError } from '@vouchsafe/image'
import { expect, test, vi } from 'vitest'
import { report } from './report.ts'

test('H09 a refusal cannot write lines of its own with what it cites', () => {
  const written: string[] = []
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  try {
    report(new ImageError('chain.media-type', 'no image: \u001b[2K\rapproved\nhint: sign it\u202e'), false)
  } finally {
    write.mockRestore()
  }
  const [told] = written
  expect(told).toContain('no image: \\u001b[2K\\u000dapproved\\u000ahint: sign it\\u202e\n')
  expect(told).not.toMatch(/\r|\u202e|^hint: sign it/m)
})

test.each([
  ['registry.unavailable', 'CERT_HAS_EXPIRED', /renews its certificate/],
  ['registry.unavailable', 'SELF_SIGNED_CERT_IN_CHAIN', /certificateAuthorities/],
  ['registry.unavailable', 'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', /clientCertificate/],
  ['registry.unavailable', 'ENOTFOUND', /oci:DIR/],
  ['registry.unavailable', 'ECONNRESET', /try again later/],
  ['registry.unavailable', undefined, /try again later/],
  ['registry.denied', 'CERT_HAS_EXPIRED', /log in/],
] as const)('what to do about %s follows from why: %s', (code, system, hint) => {
  const written: string[] = []
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  try {
    const cause = system === undefined ? undefined : Object.assign(new Error('no'), { code: system })
    report(new ImageError(code, 'no', { cause }), false)
  } finally {
    write.mockRestore()
  }
  expect(written.join('')).toMatch(hint)
})
