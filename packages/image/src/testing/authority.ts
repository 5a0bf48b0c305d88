import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** A CA with a server and a client certificate, made by openssl. */
export function authority() {
  const dir = mkdtempSync(path.join(tmpdir(), 'vouchsafe-authority-'))
  const ssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'ignore'] })
  const file = (name: string) => readFileSync(path.join(dir, name), 'utf8')
  ssl('req', '-x509', ...KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=test ca', '-days', '2')
  const issue = (name: string, extension: string) => {
    ssl('req', ...KEY, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`, '-addext', extension)
    ssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-out',
      `${name}.pem`,
      '-days',
      '2',
      '-copy_extensions',
      'copy',
    )
    return { certificate: file(`${name}.pem`), key: file(`${name}.key`) }
  }
  try {
    return {
      ca: file('ca.pem'),
      server: issue('server', 'subjectAltName=IP:127.0.0.1,DNS:shared.example,DNS:registry.example,DNS:proxy.example'),
      client: issue('client', 'extendedKeyUsage=clientAuth'),
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}
