import { Check, Copy } from 'lucide-react'
import { useEffect, useState } from 'react'
import { useTexts } from '../i18n/texts'
import { copy } from '../lib/copy'
import { IconButton } from '../ui/Button'

/** Copies a text, and says so for a moment. */
export function CopyButton({ text, what }: { text: string; what: 'code' | 'reply' | 'message' }) {
  const texts = useTexts()
  const [isCopied, setIsCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return
    const timer = setTimeout(() => setIsCopied(false), 2000)
    return () => clearTimeout(timer)
  }, [isCopied])
  const label = isCopied ? texts.common.copied : texts.chat.copy[what]
  return (
    <IconButton label={label} onClick={() => void copy(text).then(setIsCopied)}>
      {isCopied ? <Check aria-hidden size={16} /> : <Copy aria-hidden size={16} />}
    </IconButton>
  )
}
