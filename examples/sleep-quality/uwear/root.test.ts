import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { SimulatedTokenAuthority, startRootPage } from '@vouchsafe/simulator'
import { afterAll, describe, expect, test } from 'vitest'
import { pinnedRoot } from './root.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'root-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
let files = 0
const newFile = () => path.join(directory, String(++files))
const authority = SimulatedTokenAuthority.create()
const sha256 = createHash('sha256').update(authority.root).digest('hex')
const refused = (code: string) => expect.objectContaining({ code })

describe('HD-02 the root', () => {
  test('is downloaded once, compared with its pin, and kept', async () => {
    const file = newFile()
    const page = await startRootPage(authority)
    const first = await pinnedRoot({ file, from: page.address, sha256 })
    expect(first).toMatchObject({ source: 'downloaded', anchor: { class: 'simulated' } })
    await page.close() // nobody is asked again
    const again = await pinnedRoot({ file, from: page.address, sha256 })
    expect(again.source).toBe('kept')
    expect(again.anchor.certificate.der).toEqual(new Uint8Array(authority.root))
    await expect(pinnedRoot({ file: newFile(), from: page.address, sha256 })).rejects.toThrow(
      refused('peer.unreachable'),
    )
  })

  test('E06 of somebody else is neither used nor written, whether downloaded or found on disk', async () => {
    await using page = await startRootPage(SimulatedTokenAuthority.create())
    const file = newFile()
    await expect(pinnedRoot({ file, from: page.address, sha256 })).rejects.toThrow(refused('endorsement.untrusted'))
    expect(() => readFileSync(file)).toThrow()
    writeFileSync(file, await (await fetch(`${page.address}/root.pem`)).text())
    await expect(pinnedRoot({ file, from: page.address, sha256 })).rejects.toThrow(refused('endorsement.untrusted'))
  })

  test('DEF-38 is not pinned by SHA-1', async () => {
    await using page = await startRootPage(authority)
    const sha1 = createHash('sha1').update(authority.root).digest('hex').toUpperCase()
    await expect(
      pinnedRoot({ file: newFile(), from: page.address, sha256: (sha1.match(/../g) ?? []).join(':') }),
    ).rejects.toThrow(expect.objectContaining({ code: 'input.malformed', message: expect.stringContaining('SHA-1') }))
  })

  test('is not fetched from where a page of another origin, or a redirect, points', async () => {
    await using page = await startRootPage(authority)
    for (const answer of [
      { status: 200, body: JSON.stringify({ root_ca_uri: `${page.address}/root.pem` }) },
      { status: 200, body: '{"root_ca_uri":"file:///etc/passwd"}' },
      { status: 200, body: '{"root_ca_uri":"nowhere"}' },
      { status: 200, body: '<html>' },
      { status: 302, body: '', location: `${page.address}/root.pem` },
      { status: 404, body: '{}' },
    ]) {
      const server = createServer((_request, response) => {
        const { status, body, location } = { location: undefined, ...answer }
        response.writeHead(status, location === undefined ? {} : { location }).end(body)
      })
      await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
      const from = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      await expect(pinnedRoot({ file: newFile(), from, sha256 }), answer.body).rejects.toThrow(
        expect.objectContaining({ name: 'VouchsafeError' }),
      )
      server.close()
    }
  })
})
