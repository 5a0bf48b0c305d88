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
