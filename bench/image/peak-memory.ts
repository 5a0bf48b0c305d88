import { ImageLayout, unpackImage } from '@vouchsafe/image'

/** A process of its own, so that its peak is that of one unpacking: prints bytes before and at most. */
const [layout = '', target = ''] = process.argv.slice(2)
const before = process.memoryUsage.rss()
const source = await ImageLayout.open(layout)
await unpackImage(source, source.find('v1').digest, target)
console.log(JSON.stringify({ before, peak: process.resourceUsage().maxRSS * 1024 }))
