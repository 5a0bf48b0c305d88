import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TpmAttestInputs as AttestInputs, fromBase64, toBase64Url, utf8 } from '@vouchsafe/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { imaRecord } from '../../../../tpm/src/testing/ima-record.ts'
import { recordAttestations } from '../../policy/testing/recorded-attestations.ts'
import { newOutput } from '../../output.ts'
import { decisionRecord } from './decision-record.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'vsdr-'))
let inputs: AttestInputs
beforeAll(async () => {
  const { envelopes } = await recordAttestations(directory, 1, 1)
  const record = JSON.parse(Buffer.from(fromBase64(envelopes[0]?.payload ?? '')).toString()) as { inputs: AttestInputs }
  inputs = record.inputs
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const fileOf = (content: AttestInputs) => ({ name: 'inputs.json', bytes: utf8(JSON.stringify(content)) })

test('a machine whose kernel measured nothing after the boot shows so, and is accepted', async () => {
  const { json, text } = await decisionRecord.show(fileOf(inputs), {})
  expect(json).toMatchObject({ kernel: [] })
  expect(text).toContain('kernel     measured since: 0 (IMA)')
  expect(await decisionRecord.verify(fileOf(inputs), {}, newOutput(true))).toMatchObject({ accepted: true })
})

test('what the kernel measured after the boot is shown by path and digest, and verified by its register', async () => {
  const { bytes } = imaRecord({ hash: 'sha256', digest: new Uint8Array(32).fill(0xab), path: '/usr/bin/node\n' })
  const claimed = fileOf({ ...inputs, evidence: { ...inputs.evidence, imaLog: toBase64Url(bytes) } })
  const digest = `sha256:${'ab'.repeat(32)}`
  const { json, text } = await decisionRecord.show(claimed, {})
  expect(json).toMatchObject({ kernel: [{ register: 10, path: '/usr/bin/node\n', digest }] })
  expect(text).toContain(`register 10  "/usr/bin/node\\n"  ${digest}`)
  expect(await decisionRecord.verify(claimed, {}, newOutput(true))).toMatchObject({
    accepted: false,
    json: { reasons: [{ code: 'evidence.log' }] },
  })
})
