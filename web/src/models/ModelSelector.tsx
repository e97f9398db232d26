import { Popover } from '@base-ui/react/popover'
import { Radio } from '@base-ui/react/radio'
import { RadioGroup } from '@base-ui/react/radio-group'
import { ChevronDown } from 'lucide-react'
import { useState } from 'react'
import { useTexts } from '../i18n/texts'
import { asProblem } from '../lib/problem'
import { ProblemNotice } from '../ui/ProblemNotice'
import { SkeletonLines } from '../ui/Skeleton'
import { keyOf, ModelOption, type Named } from './ModelOption'
import styles from './ModelSelector.module.css'
import { type Reasoning, usePreferences } from './preferences'
import { useModels } from './useModels'

const LEVELS = ['auto', 'off', 'low', 'medium', 'high'] as const
const AUTOMATIC = 'automatic'
/** From so many models on, a field finds one by its name. */
const MANY = 8

function isSame(model: Named, other: Named | null): boolean {
  return other !== null && keyOf(model) === keyOf(other)
}

/** Chooses the model and the level of reasoning for the next messages; shown in the composer. */
export function ModelSelector() {
  const { models: texts } = useTexts()
  const [preferences, change] = usePreferences()
  const [isOpen, setIsOpen] = useState(false)
  const [wanted, setWanted] = useState('')
  const { data, error, isPending, refetch } = useModels(isOpen)
  const { model, reasoning } = preferences
  const items = (data?.items ?? []).filter((one) =>
    `${one.provider} ${one.model}`.toLowerCase().includes(wanted.trim().toLowerCase()),
  )

  return (
    <Popover.Root open={isOpen} onOpenChange={setIsOpen}>
      <Popover.Trigger className={styles.trigger} aria-label={`${texts.label}: ${model?.model ?? texts.automatic}`}>
        <span className={styles.chosen}>{model?.model ?? texts.automatic}</span>
        {reasoning && <span className={styles.level}>{texts.levels[reasoning]}</span>}
        <ChevronDown size={16} aria-hidden="true" />
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Positioner className={styles.positioner} side="top" align="start" sideOffset={8} collisionPadding={12}>
          <Popover.Popup className={styles.popup} aria-label={texts.label}>
            {isPending && <SkeletonLines count={4} />}
            {error && <ProblemNotice problem={asProblem(error)} onRetry={refetch} />}
            {data && (
              <>
                {data.items.length > MANY && (
                  <input
                    className={styles.find}
                    placeholder={texts.search}
                    aria-label={texts.search}
                    value={wanted}
                    onChange={(event) => setWanted(event.target.value)}
                  />
                )}
                <RadioGroup
                  className={styles.options}
                  aria-label={texts.label}
                  value={model ? keyOf(model) : AUTOMATIC}
                  onValueChange={(value) => {
                    const chosen = data.items.find((one) => keyOf(one) === value)
                    change({ model: chosen ? { provider: chosen.provider, model: chosen.model } : null })
                  }}
                >
                  <Radio.Root value={AUTOMATIC} className={styles.option}>
                    <Radio.Indicator keepMounted className={styles.dot} />
                    <span className={styles.about}>
                      <span className={styles.name}>{texts.automatic}</span>
                      <span className={styles.facts}>
                        {data.default ? texts.automaticText(data.default.model) : texts.none}
                      </span>
                    </span>
                  </Radio.Root>
                  {items
                    .filter((one) => one.available)
                    .map((one) => (
                      <ModelOption key={keyOf(one)} model={one} isDefault={isSame(one, data.default)} />
                    ))}
                  {items.some((one) => !one.available) && <p className={styles.group}>{texts.unavailable}</p>}
                  {items
                    .filter((one) => !one.available)
                    .map((one) => (
                      <ModelOption key={keyOf(one)} model={one} isDefault={false} />
                    ))}
                </RadioGroup>
              </>
            )}
            <div className={styles.reasoning}>
              <p id="reasoning-label" className={styles.heading}>
                {texts.reasoning}
              </p>
              <RadioGroup
                className={styles.levels}
                aria-labelledby="reasoning-label"
                aria-describedby="reasoning-text"
                value={reasoning ?? 'auto'}
                onValueChange={(value) => change({ reasoning: value === 'auto' ? null : (value as Reasoning) })}
              >
                {LEVELS.map((level) => (
                  <Radio.Root key={level} value={level} className={styles.step}>
                    {texts.levels[level]}
                  </Radio.Root>
                ))}
              </RadioGroup>
              <p id="reasoning-text" className={styles.facts}>
                {texts.reasoningText}
              </p>
            </div>
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  )
}
