import { type DragEvent, type ReactNode, useState } from 'react'
import { useTexts } from '../i18n/texts'
import styles from './FileDrop.module.css'
import { useUploads } from './UploadsProvider'

/** A part of the page that takes dropped files as documents. */
export function FileDrop({ className, children }: { className: string | undefined; children: ReactNode }) {
  const { documents } = useTexts()
  const { add } = useUploads()
  const [isOver, setIsOver] = useState(false)

  const over = (event: DragEvent) => {
    if (!hasFiles(event)) return
    event.preventDefault()
    event.dataTransfer.dropEffect = 'copy'
    setIsOver(true)
  }
  const leave = (event: DragEvent) => {
    const to = event.relatedTarget
    if (!(to instanceof Node && event.currentTarget.contains(to))) setIsOver(false)
  }
  const drop = (event: DragEvent) => {
    setIsOver(false)
    if (!hasFiles(event)) return
    event.preventDefault()
    const { files, folders } = dropped(event.dataTransfer)
    add(files, folders)
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button of the documents does the same
    <div className={`${styles.place} ${className}`} onDragOver={over} onDragLeave={leave} onDrop={drop}>
      {children}
      {isOver && (
        <div className={styles.veil}>
          <p>{documents.dropHere}</p>
        </div>
      )}
    </div>
  )
}

const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes('Files')

function dropped({ items }: DataTransfer): { files: File[]; folders: File[] } {
  const files: File[] = []
  const folders: File[] = []
  for (const item of items) {
    const file = item.getAsFile()
    if (file) (item.webkitGetAsEntry()?.isDirectory ? folders : files).push(file)
  }
  return { files, folders }
}
