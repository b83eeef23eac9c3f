"""Chapter 08: transposed convolution against torch and Keras, the U-Net and its calculator, losses and measures."""

import numpy as np
import pytest
import torch

from autograder.notebooks import exercise_module
from course_lib import unet as library
from course_lib.datasets import cardiac
from course_lib.frameworks import keras
from course_lib.syllabus import chapter

layers, ops = keras.layers, keras.ops
DRAWS = range(15)


def draw_transposed(seed):
    rng = np.random.default_rng(seed)
    N, C, OC, H, W, FH, FW, S = (int(n) for n in rng.integers((1, 1, 1, 1, 1, 1, 1, 1), (4, 4, 4, 6, 6, 5, 5, 4)))
    P = int(rng.integers(0, min(FH, FW)))
    P = min(P, ((H - 1) * S + FH - 1) // 2, ((W - 1) * S + FW - 1) // 2)
    return rng.normal(size=(N, C, H, W)), rng.normal(size=(C, OC, FH, FW)), S, P


# ---- transposed convolution ----


@pytest.mark.parametrize("draw", DRAWS)
def test_three_ways_of_transposed_convolution_equal_torch(draw):
    x, weight, S, P = draw_transposed(draw)
    theirs = torch.nn.functional.conv_transpose2d(torch.tensor(x), torch.tensor(weight), stride=S, padding=P).numpy()
    for way in (library.conv_transpose2d, library.conv_transpose2d_zeros, library.conv_transpose2d_matrix):
        np.testing.assert_allclose(way(x, weight, S, P), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("draw", DRAWS)
def test_transposed_convolution_equals_keras(draw):
    rng = np.random.default_rng(draw)
    K = int(rng.integers(1, 5))
    S = int(rng.integers(1, K + 1))
    x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(3, 2, K, K))
    # Keras wants (N, H, W, C) images and (FH, FW, OC, C) filters
    theirs = ops.conv_transpose(x.transpose(0, 2, 3, 1), weight.transpose(2, 3, 1, 0), strides=S, padding="valid")
    np.testing.assert_allclose(
        library.conv_transpose2d(x, weight, S).transpose(0, 2, 3, 1), np.asarray(theirs), rtol=0, atol=1e-5
    )


def test_transposed_convolution_is_the_gradient_of_the_convolution():
    rng = np.random.default_rng(0)
    image = torch.tensor(rng.normal(size=(1, 2, 9, 7)), requires_grad=True)
    weight, dy = rng.normal(size=(3, 2, 3, 3)), rng.normal(size=(1, 3, 4, 3))
    torch.nn.functional.conv2d(image, torch.tensor(weight), stride=2).backward(torch.tensor(dy))
    np.testing.assert_allclose(library.conv_transpose2d(dy, weight, 2), image.grad.numpy(), rtol=0, atol=1e-12)


def test_what_does_not_fit_is_said():
    x, weight = np.ones((1, 2, 3, 3)), np.ones((3, 1, 2, 2))
    with pytest.raises(ValueError, match="2 channels but the filters expect 3"):
        library.conv_transpose2d(x, weight)
    with pytest.raises(ValueError, match="takes everything away"):
        library.transposed_size(1, 2, 1, 1)
    with pytest.raises(ValueError, match="needs a filter of at least 4"):
        library.conv_transpose2d_zeros(x, weight, padding=3)


def test_the_checkerboard_is_even_inside_where_the_stride_divides_the_filter():
    assert np.ptp(library.cover(6, 4, 2)[2:-2, 2:-2]) == 0
    assert np.ptp(library.cover(6, 3, 2)[2:-2, 2:-2]) > 0


# ---- the network ----


def test_the_original_u_net_goes_from_572_to_388_pixels():
    sizes = library.unet_sizes(572, 64, 4, "valid")
    assert [size for size, _ in sizes] == [568, 280, 136, 64, 28, 52, 100, 196, 388]
    assert [channels for _, channels in sizes] == [64, 128, 256, 512, 1024, 512, 256, 128, 64]


def test_a_u_net_that_is_too_deep_is_refused():
    with pytest.raises(ValueError, match="nothing is left"):
        library.unet_sizes(16, 4, 5)
    with pytest.raises(ValueError, match="nothing is left"):
        library.unet_sizes(20, 4, 2, "valid")


@pytest.mark.parametrize(("size", "base", "depth", "classes", "channels"), [(64, 12, 3, 4, 1), (20, 3, 2, 2, 3)])
def test_the_calculator_agrees_with_the_network(size, base, depth, classes, channels):
    model = library.build_unet((size, size, channels), classes, base, depth)
    total = library.unet_table(size, base, depth, classes, channels)[-1]
    assert model.output_shape == (None, total.size, total.size, classes)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == total.parameters


def test_the_networks_without_skips_and_the_relatives_give_a_score_for_every_pixel():
    for build in (library.build_unet, library.build_plain, library.build_fcn, library.build_segnet):
        assert build((16, 16, 1), 4, 3, 2).output_shape == (None, 16, 16, 4)
    assert (
        library.build_plain((16, 16, 1), 4, 3, 2).count_params()
        == library.build_unet((16, 16, 1), 4, 3, 2).count_params()
    )
    assert library.build_autoencoder((16, 16, 1), 3, 2).output_shape == (None, 16, 16, 1)


def test_segnets_unpooling_puts_each_maximum_back_where_it_was():
    from course_lib.pooling import max_unpool2d  # noqa: F401  (the same idea in NumPy)
    from course_lib.unet.networks import PoolWithIndices, Unpool

    x = np.random.default_rng(0).random((2, 4, 6, 3)).astype(np.float32)
    pooled, where = PoolWithIndices()(x)
    np.testing.assert_array_equal(pooled, keras.layers.MaxPooling2D(2)(x))
    back = np.asarray(Unpool()(pooled, where))
    np.testing.assert_array_equal(back[back > 0], x[back > 0])
    assert (back > 0).sum() == np.asarray(pooled).size


# ---- losses and measures ----


@pytest.mark.parametrize("draw", DRAWS)
def test_weighted_cross_entropy_equals_torch(draw):
    rng = np.random.default_rng(draw)
    K = int(rng.integers(2, 6))
    z, y = rng.normal(size=(2, 3, 4, K)).astype(np.float32), rng.integers(0, K, size=(2, 3, 4))
    w = rng.uniform(0.1, 3, size=K).astype(np.float32)
    theirs = torch.nn.functional.cross_entropy(torch.tensor(z).movedim(-1, 1), torch.tensor(y), torch.tensor(w))
    assert abs(float(library.weighted_cross_entropy(z, y, w)) - theirs.item()) < 1e-5


def test_soft_dice_of_sure_answers_is_dice():
    y = np.random.default_rng(0).integers(0, 3, size=(2, 8, 8))
    other = np.random.default_rng(1).integers(0, 3, size=(2, 8, 8))
    z = 1000 * np.eye(3, dtype=np.float32)[other]
    assert abs(float(library.soft_dice_loss(z, y, 1e-6)) - (1 - library.dice(y, other, 3).mean())) < 1e-5


def test_the_median_class_has_weight_one_and_a_missing_class_none():
    y = np.array([0] * 6 + [1] * 3 + [2])
    np.testing.assert_allclose(library.class_weights(y, 3), [0.5, 1, 3])
    with pytest.raises(ValueError, match="class 3 does not occur"):
        library.class_weights(y, 4)


def test_dice_and_iou_belong_together():
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, 4, size=(2, 50))
    d = library.dice(y, predicted, 5)
    assert np.isnan(d[4])
    np.testing.assert_allclose(library.iou(y, predicted, 5), d / (2 - d))


def test_an_empty_heart_has_no_ejection_fraction():
    with pytest.raises(ValueError, match="no voxel"):
        library.ejection_fraction(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), (1, 1, 1))


# ---- the phantoms ----


def test_hearts_are_the_same_from_the_same_seed_and_others_from_another():
    a, b, c = (cardiac.hearts(1, 1, 1, slices=3, size=32, seed=seed).train[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.ed, b.ed)
    assert (a.ed != c.ed).any()


def test_more_training_patients_change_no_test_patient():
    a, b = (cardiac.hearts(n, 0, 1, slices=2, size=32).test[0] for n in (1, 3))
    np.testing.assert_array_equal(a.es, b.es)


def test_hearts_contract_and_their_muscle_does_not_shrink():
    for p in cardiac.hearts(8, 0, 0).train:
        _, _, fraction = library.ejection_fraction(p.ed_labels, p.es_labels, p.spacing)
        assert 0.1 < fraction < 0.75
        muscle = [(labels == cardiac.MYOCARDIUM).sum() for labels in (p.ed_labels, p.es_labels)]
        assert abs(muscle[0] - muscle[1]) < 0.15 * muscle[0]


def test_images_and_labels_stand_in_step():
    patients = cardiac.hearts(2, 0, 0, slices=3, size=32).train
    x, y = cardiac.images_and_labels(patients)
    assert x.shape == (12, 32, 32, 1)
    assert y.shape == (12, 32, 32)
    np.testing.assert_array_equal(y[3:6], patients[0].es_labels)
    np.testing.assert_allclose(x[6:9, ..., 0], patients[1].ed / 255, atol=1e-6)


# ---- training ----


@pytest.fixture(scope="module")
def trained():
    patients = cardiac.hearts(4, 1, 0, slices=4, size=32)
    x, y = cardiac.images_and_labels(patients.train)
    keras.utils.set_random_seed(0)
    model = library.build_unet((32, 32, 1), 4, 4, 2)
    return (
        model,
        library.fit(model, x, y, 3, batch=8, validation=cardiac.images_and_labels(patients.validation)),
        patients,
    )


def test_training_lowers_the_loss_and_keeps_the_curves(trained):
    _, history, _ = trained
    assert history["loss"][-1] < history["loss"][0]
    assert set(history) == {"loss", *cardiac.CLASSES[1:]}
    assert all(len(values) == 3 for values in history.values())


def test_a_segmented_patient_has_labels_of_the_same_shape(trained):
    model, _, patients = trained
    seen = library.segment(model, patients.validation[0])
    assert seen.ed_labels.shape == patients.validation[0].ed_labels.shape
    x, _ = cardiac.images_and_labels(patients.validation)
    np.testing.assert_array_equal(seen.es_labels, library.predict(model, x)[4:])


def test_separation_equals_scikit_learns_area_under_the_curve():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    usual, unusual = rng.integers(0, 6, size=40), rng.integers(2, 8, size=30)
    right = roc_auc_score([0] * 40 + [1] * 30, np.concatenate([usual, unusual]))
    assert abs(library.separation(usual, unusual) - right) < 1e-12


def test_surprise_is_nothing_where_an_image_is_redrawn_as_it_is():
    x = np.random.default_rng(0).random((3, 8, 8, 2)).astype(np.float32)
    image = keras.Input((8, 8, 2))
    np.testing.assert_array_equal(library.surprise(keras.Model(image, layers.Identity()(image)), x), 0)
    twice = library.surprise(keras.Model(image, layers.Rescaling(2.0)(image)), x)
    np.testing.assert_allclose(twice, (x**2).sum(axis=-1), rtol=1e-5)


def test_an_implant_changes_its_place_and_nothing_else():
    x, _ = cardiac.images_and_labels(cardiac.hearts(1, 0, 0, slices=3).train)
    bad, where = cardiac.with_implants(x, np.random.default_rng(0))
    assert bad.shape == x.shape
    assert bad.dtype == x.dtype
    np.testing.assert_array_equal(bad[~where], x[~where])
    assert (np.abs(bad - x)[..., 0].max(axis=(1, 2)) > 0.05).all()
    assert where.any(axis=(1, 2)).all()


# ---- what a library would answer is closed ----


def transposed_by_keras(x, weight, stride=1, padding=0):
    y = ops.conv_transpose(x.transpose(0, 2, 3, 1), weight.transpose(2, 3, 1, 0), strides=stride, padding="valid")
    y = np.asarray(y).transpose(0, 3, 1, 2)
    return y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]


def transposed_as_a_gradient(x, weight, stride=1, padding=0):
    import tensorflow as tf

    N, _, H, W = x.shape
    _, OC, FH, FW = weight.shape
    image = tf.zeros((N, (H - 1) * stride + FH, (W - 1) * stride + FW, OC), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(image)
        y = tf.nn.conv2d(image, weight.transpose(2, 3, 1, 0), stride, "VALID")
    y = tape.gradient(y, image, x.transpose(0, 2, 3, 1)).numpy().transpose(0, 3, 1, 2)
    return y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]


def entropy_by_keras(z, y, w):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    return loss(y, z, sample_weight=ops.take(ops.convert_to_tensor(w), y))


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("conv_transpose2d", transposed_by_keras),
        ("conv_transpose2d", transposed_as_a_gradient),
        ("weighted_cross_entropy", entropy_by_keras),
    ],
)
def test_one_call_of_a_library_is_no_answer_and_the_student_reads_why(name, answer):
    exercise = getattr(exercise_module(chapter("unet")), name)
    verdict = exercise.judge(answer)
    assert verdict.n_passed == 0
    assert all("closed" in result.outcome.raised.message for result in verdict.results)
    # ... and afterwards it is open again
    case = exercise.draw()[0]
    result = answer(*case.args, **case.kwargs)
    right = exercise.reference(*case.args, **case.kwargs)
    np.testing.assert_allclose(np.asarray(result), np.asarray(right), atol=1e-5)


# ---- right answers ----


def scatter_by_pixels(x, weight, stride=1, padding=0):
    N, C, H, W = x.shape
    _, OC, FH, FW = weight.shape
    y = np.zeros((N, OC, (H - 1) * stride + FH, (W - 1) * stride + FW))
    for i in range(H):
        for j in range(W):
            stamp = np.tensordot(x[:, :, i, j], weight, axes=1)
            y[:, :, i * stride : i * stride + FH, j * stride : j * stride + FW] += stamp
    return y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]


def by_torch(x, weight, stride=1, padding=0):
    return torch.nn.functional.conv_transpose2d(torch.tensor(x), torch.tensor(weight), stride=stride, padding=padding)


def spread_by_kron(x, weight, stride=1, padding=0):
    H, W = x.shape[2:]
    corner = np.zeros((stride, stride))
    corner[0, 0] = 1
    y = np.kron(x, corner)[:, :, : (H - 1) * stride + 1, : (W - 1) * stride + 1]
    a, b = (F - 1 - padding for F in weight.shape[2:])
    return np.pad(y, [(0, 0), (0, 0), (a, a), (b, b)]), np.rot90(np.swapaxes(weight, 0, 1), 2, axes=(2, 3))


def spread_by_loops(x, weight, stride=1, padding=0):
    N, C, H, W = x.shape
    a, b = (F - 1 - padding for F in weight.shape[2:])
    y = np.zeros((N, C, (H - 1) * stride + 1 + 2 * a, (W - 1) * stride + 1 + 2 * b))
    for i in range(H):
        for j in range(W):
            y[:, :, a + i * stride, b + j * stride] = x[:, :, i, j]
    return [y, np.flip(np.einsum("copq->ocpq", weight), (2, 3))]


def sizes_by_lists(size, base, depth, padding="same"):
    lost = 4 if padding == "valid" else 0
    down = [size - lost]
    for _ in range(depth):
        down.append(down[-1] // 2 - lost)
    ups = [down[-1]]
    for _ in range(depth):
        ups.append(ups[-1] * 2 - lost)
    channels = [base << k for k in range(depth + 1)]
    return list(zip(down + ups[1:], channels + channels[-2::-1], strict=True))


def sizes_as_array(size, base, depth, padding="same"):
    return [tuple(pair) for pair in np.array(sizes_by_lists(size, base, depth, padding)).tolist()]


def block(x, channels):
    first = keras.Sequential([
        keras.layers.Conv2D(channels, (3, 3), padding="same", use_bias=False),
        keras.layers.BatchNormalization(momentum=0.9), keras.layers.Activation("relu"),
        keras.layers.Conv2D(channels, (3, 3), padding="same", use_bias=False),
        keras.layers.BatchNormalization(momentum=0.9), keras.layers.Activation("relu"),
    ])  # fmt: skip
    return first(x)


def block_by_ops(x, channels):
    for _ in range(2):
        x = keras.layers.Conv2D(channels, 3, 1, "same", use_bias=False)(x)
        x = ops.relu(keras.layers.BatchNormalization(axis=-1, momentum=0.9)(x))
    return x


def down_by_ops(x, channels):
    skip = block_by_ops(x, channels)
    return ops.max_pool(skip, 2, 2), skip


def down_in_a_list(x, channels):
    skip = library.double_conv(x, channels)
    return [keras.layers.MaxPool2D(pool_size=(2, 2), strides=2)(skip), skip]


def up_by_slices(x, skip, channels):
    x = keras.layers.Conv2DTranspose(channels, 2, strides=2, padding="same")(x)
    a, b = (skip.shape[1] - x.shape[1]) // 2, (skip.shape[2] - x.shape[2]) // 2
    skip = skip[:, a : a + x.shape[1], b : b + x.shape[2]]
    return block_by_ops(ops.concatenate([skip, x], axis=-1), channels)


def up_by_crop(x, skip, channels):
    x = keras.layers.Conv2DTranspose(channels, 2, 2)(x)
    return library.double_conv(keras.layers.concatenate([library.crop(skip, *x.shape[1:3]), x]), channels)


def recursive(x, base, depth):
    if depth == 0:
        return block_by_ops(x, base)
    halved, skip = library.down(x, base)
    return up_by_crop(recursive(halved, 2 * base, depth - 1), skip, base)


def unet_recursive(shape, classes, base=12, depth=3):
    image = keras.Input(shape)
    return keras.Model(image, keras.layers.Conv2D(classes, (1, 1))(recursive(image, base, depth)))


def unet_from_a_stack(shape, classes, base=12, depth=3):
    image, skips, width = keras.Input(shape), [], base
    x = image
    for _ in range(depth):
        x, skip = down_by_ops(x, width)
        skips.append(skip)
        width *= 2
    x = library.double_conv(x, width)
    while skips:
        width //= 2
        x = up_by_slices(x, skips.pop(), width)
    return keras.Model(inputs=image, outputs=keras.layers.Conv2D(classes, 1, padding="same")(x))


def entropy_by_take(z, y, w):
    log_p = ops.log_softmax(z, axis=-1)
    picked = ops.take_along_axis(log_p, ops.expand_dims(ops.cast(y, "int32"), -1), axis=-1)[..., 0]
    weight = ops.take(ops.convert_to_tensor(w), y)
    return -ops.sum(picked * weight) / ops.sum(weight)


def entropy_by_log_sum_exp(z, y, w):
    picked = ops.sum(ops.one_hot(y, z.shape[-1], dtype=z.dtype) * z, axis=-1)
    losses = ops.logsumexp(z, axis=-1) - picked
    return ops.average(losses, weights=ops.take(ops.convert_to_tensor(w), y))


def soft_dice_by_classes(z, y):
    p, total = ops.softmax(z), 0.0
    for k in range(z.shape[-1]):
        g = ops.cast(ops.equal(y, k), z.dtype)
        total += (2 * ops.sum(p[..., k] * g) + 1) / (ops.sum(p[..., k]) + ops.sum(g) + 1)
    return 1 - total / z.shape[-1]


def soft_dice_flat(z, y):
    K = z.shape[-1]
    p, g = ops.reshape(ops.softmax(z), (-1, K)), ops.reshape(ops.one_hot(y, K, dtype=z.dtype), (-1, K))
    d = (2 * ops.sum(p * g, axis=0) + 1.0) / (ops.sum(p + g, axis=0) + 1.0)
    return ops.mean(1 - d)


def dice_by_sets(y, predicted, K):
    result = []
    for k in range(K):
        a, b = set(np.flatnonzero(y == k)), set(np.flatnonzero(predicted == k))
        result.append(2 * len(a & b) / (len(a) + len(b)) if a or b else np.nan)
    return np.array(result)


def dice_by_one_hot(y, predicted, K):
    a, b = np.eye(K)[y.ravel()], np.eye(K)[predicted.ravel()]
    with np.errstate(invalid="ignore"):
        return 2 * (a * b).sum(0) / (a.sum(0) + b.sum(0))


def iou_by_masks(y, predicted, K):
    with np.errstate(invalid="ignore"):
        return np.array([
            np.sum((y == k) & (predicted == k)) / np.float64(np.sum((y == k) | (predicted == k))) for k in range(K)
        ])  # fmt: skip


def iou_from_dice(y, predicted, K):
    d = dice_by_sets(y, predicted, K)
    return d / (2 - d)


def ejection_by_counting(ed, es, spacing, label=3):
    voxel = spacing[0] * spacing[1] * spacing[2] * 1e-3
    a, b = (voxel * np.count_nonzero(np.equal(labels, label)) for labels in (ed, es))
    return a, b, 1 - b / a


def ejection_by_slices(ed, es, spacing, label=3):
    dz, dy, dx = spacing
    a, b = (sum(float(np.sum(s == label)) * dy * dx for s in labels) * dz / 1000 for labels in (ed, es))
    return [a, b, (a - b) / a]


RIGHT = {
    "conv_transpose2d": [scatter_by_pixels, by_torch, library.conv_transpose2d_matrix],
    "as_convolution": [spread_by_kron, spread_by_loops],
    "unet_sizes": [sizes_by_lists, sizes_as_array],
    "double_conv": [block, block_by_ops],
    "down": [down_by_ops, down_in_a_list],
    "up": [up_by_slices, up_by_crop],
    "build_unet": [unet_recursive, unet_from_a_stack],
    "weighted_cross_entropy": [entropy_by_take, entropy_by_log_sum_exp],
    "soft_dice_loss": [soft_dice_by_classes, soft_dice_flat],
    "dice": [dice_by_sets, dice_by_one_hot],
    "iou": [iou_by_masks, iou_from_dice],
    "ejection_fraction": [ejection_by_counting, ejection_by_slices],
}

SUMMED = "axes may be named in any order: the same sum"
LARGER = "the array is larger than needed, and what is too much is cut off at the end"
EQUIVALENT = {
    "conv_transpose2d": {"H - 1  ->  H + 1": LARGER, "W - 1  ->  W + 1": LARGER},
    "soft_dice_loss": {"(0, 1, 2)  ->  (1, 0, 2)": SUMMED},
}
