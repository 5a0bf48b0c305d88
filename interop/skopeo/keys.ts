import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** Keys of all kinds, by openssl and gpg, as files. */
export interface PeerKeys {
  readonly rsa: string
  readonly rsaPublic: string
  readonly ec: string
  readonly ecPublic: string
  readonly strangerKey: string
  readonly certificate: string
  readonly certificateKey: string
  readonly pgpAddress: string
  readonly pgpPublic: string
  readonly pgpPrivate: string
  /** `GNUPGHOME` with the public key, where skopeo looks for recipients. */
  readonly gnupgHome: string
}

export function makeKeys(directory: string): PeerKeys {
  mkdirSync(directory, { recursive: true })
  const at = (name: string) => path.join(directory, name)
  const ssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' })
  for (const name of ['rsa', 'stranger']) ssl('genrsa', '-out', `${name}.pem`, '2048')
  // PKCS#8: skopeo does not read the older form of EC keys
  ssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521', '-out', 'ec.pem')
  for (const name of ['rsa', 'ec']) ssl('pkey', '-in', `${name}.pem`, '-pubout', '-out', `${name}.pub`)
  ssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:3072',
    '-nodes',
    '-keyout',
    'crt.key',
    '-out',
    'crt.pem',
    '-subj',
    '/CN=owner',
    '-days',
    '2',
  )
  const gnupgHome = at('gnupg')
  mkdirSync(gnupgHome)
  chmodSync(gnupgHome, 0o700)
  const pgpAddress = 'owner@example.org'
  const parameters = `%no-protection\nKey-Type: RSA\nKey-Length: 2048\nSubkey-Type: RSA\nSubkey-Length: 2048\nName-Real: owner\nName-Email: ${pgpAddress}\nExpire-Date: 0\n%commit\n`
  const gpg = (args: readonly string[], input = '') =>
    execFileSync('gpg', ['--batch', ...args], {
      env: { ...process.env, GNUPGHOME: gnupgHome },
      input,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
  gpg(['--gen-key'], parameters)
  writeFileSync(at('pgp.pub'), gpg(['--export', pgpAddress]))
  writeFileSync(at('pgp.sec'), gpg(['--export-secret-keys', pgpAddress]))
  return {
    rsa: at('rsa.pem'),
    rsaPublic: at('rsa.pub'),
    ec: at('ec.pem'),
    ecPublic: at('ec.pub'),
    strangerKey: at('stranger.pem'),
    certificate: at('crt.pem'),
    certificateKey: at('crt.key'),
    pgpAddress,
    pgpPublic: at('pgp.pub'),
    pgpPrivate: at('pgp.sec'),
    gnupgHome,
  }
}
