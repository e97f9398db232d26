import { useCallback, useEffect, useRef, useState } from 'react'
import { Link } from 'wouter'
import { DocumentsSwitch } from '../documents/DocumentsSwitch'
import { FileDrop } from '../documents/FileDrop'
import { useTexts } from '../i18n/texts'
import type { Api } from '../lib/api'
import { useIsGone } from '../lib/gone'
import { asProblem } from '../lib/problem'
import { useServices } from '../lib/services'
import { useUser } from '../lib/session'
import { ModelSelector } from '../models/ModelSelector'
import { type Preferences, usePreferences } from '../models/preferences'
import { useTell } from '../ui/Toasts'
import { Activity } from './Activity'
import { Announcer } from './Announcer'
import { ChatInput, type Composer } from './ChatInput'
import { RefusedNotice, WaitingNotice } from './ChatNotice'
import styles from './ChatPane.module.css'
import { hasFirstMessage, leaveFirstMessage, takeFirstMessage } from './firstMessage'
import { MessageList } from './MessageList'
import { type ChatMessage, isReply, textOf } from './messages'
import { Reply } from './Reply'
import { UserMessage } from './UserMessage'
import { type Refused, useConversation } from './useConversation'
import { keepUnsent, NEW, unsentOf } from './written'

/** The conversation with its composer. `conversationId` is null before the first message of a new one. */
export default function ChatPane({
  conversationId,
  messageId = null,
  onConversation,
}: {
  conversationId: string | null
  /** The message to begin with, such as one that a search has found; null: the end. */
  messageId?: string | null
  /** Called once the first message has made the conversation. */
  onConversation: (id: string) => void
}) {
  return conversationId === null ? (
    <NewChat onConversation={onConversation} />
  ) : (
    <Chat key={conversationId} id={conversationId} messageId={messageId} />
  )
}

function NewChat({ onConversation }: { onConversation: (id: string) => void }) {
  const texts = useTexts()
  const { api } = useServices()
  const user = useUser()
  const [preferences] = usePreferences()
  const tell = useTell()
  const [isMaking, setIsMaking] = useState(false)
  const [refused, setRefused] = useState<Refused | null>(null)
  const composer = useRef<Composer>(null)
  const { before, documents, after } = texts.chat.emptyHint
  useEffect(() => {
    const text = unsentOf(user.id, NEW)
    if (text) composer.current?.give(text)
    keepUnsent(user.id, NEW, null)
  }, [user.id])
  useEffect(() => {
    // it goes back by itself
    if (refused) keepUnsent(user.id, NEW, null)
  }, [user.id, refused])
  // the page may be left while the conversation is made
  const isGone = useIsGone()
  const late = useRef({ preferences, tell, texts })
  useEffect(() => {
    late.current = { preferences, tell, texts }
  })
  const send = useCallback(
    async (text: string) => {
      setIsMaking(true)
      setRefused(null)
      keepUnsent(user.id, NEW, text)
      try {
        const { data } = await api.POST('/v1/conversations', { body: {} })
        if (!data) return
        keepUnsent(user.id, data.id, text)
        keepUnsent(user.id, NEW, null)
        if (isGone.current) {
          // who is elsewhere by now stays there
          await sendUnseen(api, data.id, text, late.current.preferences)
          keepUnsent(user.id, data.id, null)
        } else {
          leaveFirstMessage(data.id, text)
          onConversation(data.id)
        }
      } catch (error) {
        const problem = asProblem(error)
        setRefused({ problem, text, editOf: null })
        const { tell, texts } = late.current
        if (isGone.current) tell(texts.chat.notSent, { text: texts.problems[problem.code].title })
      } finally {
        setIsMaking(false)
      }
    },
    [api, user.id, onConversation],
  )
  return (
    <FileDrop className={`${styles.pane} ${styles.empty}`}>
      <div className={styles.greeting}>
        <h1>{texts.chat.emptyTitle}</h1>
        <p>
          {before}
          <Link href="/documents">{documents}</Link>
          {after}
        </p>
      </div>
      <div className={styles.foot}>
        {refused ? (
          <RefusedNotice
            key={refused.text}
            problem={refused.problem}
            onRetry={() => send(refused.text)}
            onClose={() => setRefused(null)}
          />
        ) : null}
        <ChatInput
          ref={composer}
          userId={user.id}
          place={NEW}
          isBusy={isMaking}
          returned={refused?.text ?? null}
          onSend={send}
          onStop={null}
        >
          <ModelSelector />
          <DocumentsSwitch />
        </ChatInput>
      </div>
    </FileDrop>
  )
}

/** Has a message answered without a page that follows it. */
function sendUnseen(api: Api, id: string, content: string, { model, reasoning, useDocuments }: Preferences) {
  return api.POST('/v1/conversations/{conversation_id}/messages', {
    params: { path: { conversation_id: id } },
    body: { content, ...model, reasoning, use_rag: useDocuments },
  })
}

function Chat({ id, messageId }: { id: string; messageId: string | null }) {
  const texts = useTexts()
  const user = useUser()
  const [preferences] = usePreferences()
  const chat = useConversation(id, preferences)
  const { messages, state, regenerate, showVersion, rate, stop, forgetRefused, refused, waiting } = chat
  const isBusy = state === 'sent' || state === 'replying'
  const last = messages.at(-1)
  const composer = useRef<Composer>(null)
  const { send: sendNow, edit: editNow } = chat
  const send = useCallback(
    (text: string) => {
      keepUnsent(user.id, id, text)
      sendNow(text)
    },
    [user.id, id, sendNow],
  )
  const edit = useCallback(
    (messageToEdit: string, text: string) => {
      keepUnsent(user.id, id, text)
      editNow(messageToEdit, text)
      composer.current?.focus()
    },
    [user.id, id, editNow],
  )
  const lastQuestion = messages.findLast((message) => !isReply(message))
  const lastSaid = lastQuestion ? textOf(lastQuestion) : null
  useEffect(() => {
    const text = unsentOf(user.id, id)
    if (text === null || !(state === 'ready' || state === 'replying') || hasFirstMessage(id)) return
    // what is refused goes back by itself
    if (state === 'ready' && !refused && lastSaid !== text) composer.current?.give(text)
    keepUnsent(user.id, id, null)
  }, [user.id, id, state, refused, lastSaid])
  const [target, setTarget] = useState<string | null>(null)
  const { find } = chat
  useEffect(() => {
    if (messageId) find(messageId).then((isThere) => setTarget(isThere ? messageId : null))
  }, [messageId, find])

  useEffect(() => {
    // not at once: in development React shows everything twice, and the first time is taken back
    if (!hasFirstMessage(id)) return
    const timer = setTimeout(() => {
      const text = takeFirstMessage(id)
      if (text) send(text)
    })
    return () => clearTimeout(timer)
  }, [id, send])

  const render = useCallback(
    (message: ChatMessage) =>
      isReply(message) ? (
        <Reply
          message={message}
          isOpen={message === last && state === 'replying'}
          isBusy={isBusy}
          onRegenerate={regenerate}
          onShowVersion={showVersion}
          onRate={rate}
        />
      ) : (
        <UserMessage
          message={message}
          isBusy={isBusy}
          refusedEdit={refused?.editOf === message.id ? refused.text : null}
          onEdit={edit}
          onShowVersion={showVersion}
        />
      ),
    [last, isBusy, state, refused, regenerate, showVersion, rate, edit],
  )

  if (state === 'unreadable' && chat.problem)
    return (
      <div className={styles.pane}>
        <div className={styles.foot}>
          <RefusedNotice problem={chat.problem} onRetry={chat.reread} onClose={chat.reread} />
        </div>
      </div>
    )
  const retry = () => {
    if (!refused) return
    if (refused.replyId) return regenerate(refused.replyId)
    composer.current?.take(refused.text)
    send(refused.text)
  }
  return (
    <FileDrop className={styles.pane}>
      <h2 className={styles.hidden}>{texts.chat.conversation}</h2>
      {state === 'reading' ? (
        <p className={styles.reading} role="status">
          {texts.chat.loading}
        </p>
      ) : (
        <MessageList
          messages={messages}
          target={target}
          keyOf={chat.keyOf}
          isReplyAwaited={isBusy && !isReply(last)}
          hasOlder={chat.hasOlder}
          onOlder={chat.readOlder}
          render={render}
          awaited={<Activity progress={0} />}
        />
      )}
      <div className={styles.foot}>
        {waiting ? <WaitingNotice waiting={waiting} /> : null}
        {refused ? (
          <RefusedNotice
            key={refused.problem.requestId ?? refused.text}
            problem={refused.problem}
            onRetry={refused.replyId || (refused.text && refused.editOf === null) ? retry : null}
            onClose={forgetRefused}
          />
        ) : null}
        <ChatInput
          ref={composer}
          userId={user.id}
          place={id}
          isBusy={isBusy}
          returned={refused?.editOf === null ? refused.text : null}
          onSend={send}
          onStop={stop}
        >
          <ModelSelector />
          <DocumentsSwitch />
        </ChatInput>
      </div>
      <Announcer last={last} isBusy={isBusy} />
    </FileDrop>
  )
}
