"""The two networks trained in turn, and what one watches meanwhile."""

import time

import numpy as np

from course_lib.frameworks import keras, tf
from course_lib.pix2pix.losses import discriminator_loss, generator_loss
from course_lib.pix2pix.networks import build_discriminator, build_generator

ops = keras.ops

LEARNING_RATE = 4e-3


def to_network(images):
    """From uint8 (N, C, H, W) to what the networks work on: float32 (N, H, W, C) from -1 to 1, tanh's range."""
    return images.transpose(0, 2, 3, 1).astype(np.float32) / 127.5 - 1


def to_picture(images):
    """Back from -1..1 to 0..1, for showing: (N, H, W, C) stays as it is."""
    return np.clip((np.asarray(images) + 1) / 2, 0, 1)


def train_step(generator, discriminator, g_optimizer, d_optimizer, x, y, lam=100.0):
    """One step of each network: first the discriminator with the generator held fixed, then the other way round.

    Parameters
    ----------
    generator, discriminator : keras.Model
    g_optimizer, d_optimizer : keras.optimizers.Optimizer
    x, y : tensor, shape (N, H, W, 1) and (N, H, W, 3)
        Drawings and their pictures, from -1 to 1.
    lam : float

    Returns
    -------
    dict of str to scalar tensor
        ``"D"``, and the generator's ``"adversarial"`` and ``"l1"``.
    """
    with tf.GradientTape() as g_tape:
        fake = generator(x, training=True)
        with g_tape.stop_recording():  # the generator is held fixed
            with tf.GradientTape() as d_tape:
                real_logits, fake_logits = (discriminator([x, image], training=True) for image in (y, fake))
                d_loss = discriminator_loss(real_logits, fake_logits)
            variables = discriminator.trainable_variables
            d_optimizer.apply(d_tape.gradient(d_loss, variables), variables)
        g_loss, adversarial, l1 = generator_loss(discriminator([x, fake], training=True), fake, y, lam)
    variables = generator.trainable_variables  # the discriminator is passed through, and held fixed
    g_optimizer.apply(g_tape.gradient(g_loss, variables), variables)
    return {"D": d_loss, "adversarial": adversarial, "l1": l1}


def l1_step(generator, g_optimizer, x, y):
    """One step on the mean absolute difference alone: what is left without a discriminator. Returns it."""
    with tf.GradientTape() as tape:
        l1 = ops.mean(ops.abs(y - generator(x, training=True)))
    variables = generator.trainable_variables
    g_optimizer.apply(tape.gradient(l1, variables), variables)
    return {"l1": l1}


class Trainer:
    """A generator, a discriminator unless it is left out, their optimisers, and the curves so far.

    Parameters
    ----------
    seed : int
        Of the first weights and the order of the images.
    lam : float or None
        The weight of the L1 loss; None trains on it alone, without a discriminator.
    step : callable
        As :func:`train_step`, which may be the learner's.
    make_generator, make_discriminator : callable
    """

    def __init__(self, seed=0, lam=100.0, step=train_step, make_generator=build_generator,
                 make_discriminator=build_discriminator):  # fmt: skip
        keras.utils.set_random_seed(seed)
        self.rng, self.lam, self.history, self.seconds = np.random.default_rng(seed), lam, {}, 0.0
        self.generator = make_generator()
        self._optimizers = [_adam(self.generator)]
        self.discriminator = None
        if lam is None:
            self._step = tf.function(lambda x, y: l1_step(self.generator, *self._optimizers, x, y))
        else:
            self.discriminator = make_discriminator()
            self._optimizers.append(_adam(self.discriminator))
            networks = self.generator, self.discriminator, *self._optimizers
            self._step = tf.function(lambda x, y: step(*networks, x, y, lam))
        self._colour = tf.function(lambda x: self.generator(x, training=False), reduce_retracing=True)

    def fit(self, pairs, steps, batch_size=8, progress=True, watch=None, every=25):
        """Train for some steps on batches in random order, half of the images mirrored (drawing and picture alike).

        The learning rate stays as it is for the first half of the steps and falls to 0 in the second. The last steps
        are small ones: the averages that batch normalisation uses at test time then belong to the final weights.

        Parameters
        ----------
        pairs : course_lib.datasets.pairs.Pairs
        steps, batch_size : int
        progress : bool
            Whether to show a progress bar.
        watch : callable, optional
            ``watch(trainer, step)`` after every ``every`` steps.

        Returns
        -------
        Trainer
            Itself; ``history`` holds a list of numbers for each curve.
        """
        from tqdm.auto import tqdm

        x, y = to_network(pairs.x), to_network(pairs.y)
        start, order = time.perf_counter(), np.zeros(0, int)
        bar = tqdm(range(1, steps + 1), unit="step", disable=not progress, mininterval=0.5)
        for step in bar:
            if len(order) < batch_size:
                order = self.rng.permutation(len(x))
            chosen, order = order[:batch_size], order[batch_size:]
            mirrored = self.rng.random(batch_size) < 0.5
            given, wanted = (np.where(mirrored[:, None, None, None], a[chosen][:, :, ::-1], a[chosen]) for a in (x, y))
            for optimizer in self._optimizers:
                optimizer.learning_rate = LEARNING_RATE * min(1, 2 * (1 - (step - 1) / steps))
            values = self._step(tf.constant(given), tf.constant(wanted))
            for name, value in values.items():
                self.history.setdefault(name, []).append(float(value))
            if step % every == 0 or step == steps:
                bar.set_postfix({name: f"{np.mean(curve[-every:]):.3f}" for name, curve in self.history.items()})
                if watch is not None:
                    watch(self, step)
        self.seconds += time.perf_counter() - start
        return self

    def colour(self, x, batch_size=50):
        """The generator's pictures of drawings (N, 1, H, W), uint8: shape (N, H, W, 3), from 0 to 1."""
        x = to_network(x)
        parts = [self._colour(tf.constant(x[k : k + batch_size])) for k in range(0, len(x), batch_size)]
        return to_picture(np.concatenate(parts))


def _adam(network):
    """As in DCGAN, with a short memory, beta_1 = 0.5; its learning rate was 2e-4, here there are minutes only."""
    optimizer = keras.optimizers.Adam(LEARNING_RATE, beta_1=0.5)
    optimizer.build(network.trainable_variables)
    return optimizer


def l1(pictures, y):
    """The mean absolute difference of pictures (N, H, W, 3) in 0..1 and images (N, 3, H, W), uint8, in 0..1."""
    return float(np.abs(pictures - y.transpose(0, 2, 3, 1) / 255).mean())


def mean_image(pairs):
    """The baseline that looks at nothing: the mean of the training pictures, (1, H, W, 3), from 0 to 1."""
    return pairs.y.mean(axis=0, keepdims=True).transpose(0, 2, 3, 1) / 255


def grain(pictures):
    """How much neighbouring pixels differ: the mean size of the difference of a pixel and the mean of its four.

    Flat colours have 0, a lawn with blades of grass has more. From (N, H, W, 3) to (N, H-2, W-2).
    """
    middle = pictures[:, 1:-1, 1:-1]
    around = pictures[:, :-2, 1:-1] + pictures[:, 2:, 1:-1] + pictures[:, 1:-1, :-2] + pictures[:, 1:-1, 2:]
    return np.abs(middle - around / 4).mean(axis=-1)
