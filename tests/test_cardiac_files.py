"""Real hearts: the readers of ACDC and Sunnybrook, on small files that the tests write."""

import sys

import numpy as np
import pytest

from course_lib.datasets import cardiac, cardiac_files


@pytest.fixture
def acdc_folder(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    folder = tmp_path / "patient007"
    folder.mkdir()
    (folder / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: NOR\nHeight: 180.0\n")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, size=(5, 6, 3))
    for frame in (1, 12):
        for part, array in (("", 100 * rng.random((5, 6, 3))), ("_gt", labels)):
            image = nibabel.Nifti1Image(array.astype(np.float32), np.eye(4))
            image.header.set_zooms((1.5, 1.25, 10.0))
            nibabel.save(image, folder / f"patient007_frame{frame:02d}{part}.nii.gz")
    return folder, labels


def test_a_patient_of_acdc_is_read_slices_first(acdc_folder):
    folder, labels = acdc_folder
    patient = cardiac_files.acdc(folder)
    assert patient.name == "patient007"
    assert patient.ed.shape == (3, 6, 5)
    assert patient.ed.dtype == np.uint8
    assert patient.spacing == (10.0, 1.25, 1.5)
    np.testing.assert_array_equal(patient.es_labels, labels.transpose(2, 1, 0))


def test_a_patient_whose_frames_are_not_named_is_refused(acdc_folder):
    folder, _ = acdc_folder
    (folder / "Info.cfg").write_text("ED: 1\n")
    with pytest.raises(ValueError, match="no line 'ES"):
        cardiac_files.acdc(folder)


def test_labels_of_another_shape_are_refused(acdc_folder):
    nibabel = pytest.importorskip("nibabel")
    folder, _ = acdc_folder
    image = nibabel.Nifti1Image(np.zeros((5, 6, 2), np.float32), np.eye(4))
    nibabel.save(image, folder / "patient007_frame12_gt.nii.gz")
    with pytest.raises(ValueError, match="its labels"):
        cardiac_files.acdc(folder)


def test_without_the_reader_the_command_is_named(acdc_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ImportError, match="pip install nibabel"):
        cardiac_files.acdc(acdc_folder[0])


def square(path, low, high):
    path.write_text("\n".join(f"{x:.2f} {y:.2f}" for x, y in ((low, low), (high, low), (high, high), (low, high))))
    return path


def test_a_slice_of_sunnybrook_has_its_contours_filled(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = pydicom.Dataset()
    file.file_meta = meta
    file.Rows, file.Columns, file.SamplesPerPixel, file.PhotometricInterpretation = 10, 12, 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 0
    file.PixelSpacing, file.SliceThickness = [1.5, 1.25], 8
    file.PixelData = np.arange(120, dtype=np.uint16).tobytes()
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    pydicom.dcmwrite(tmp_path / "IM-0001-0048.dcm", file, enforce_file_format=True)
    inner, outer = square(tmp_path / "i.txt", 3.5, 6.5), square(tmp_path / "o.txt", 1.5, 8.5)
    x, labels, spacing = cardiac_files.sunnybrook_slice(tmp_path / "IM-0001-0048.dcm", inner, outer)
    assert x.shape == labels.shape == (10, 12)
    assert spacing == (8.0, 1.5, 1.25)
    assert (labels == cardiac.LV).sum() == 9
    assert (labels == cardiac.MYOCARDIUM).sum() == 49 - 9
    assert labels[4, 4] == cardiac.LV


def test_a_damaged_contour_is_refused(tmp_path):
    for text in ("1 2\n3 4\n", "1 2\n3\n5 6\n", "a b\n1 2\n3 4\n", ""):
        path = tmp_path / "contour.txt"
        path.write_text(text)
        with pytest.raises(ValueError, match="not a contour"):
            cardiac_files.read_contour(path)


def test_resampling_to_the_same_pixels_changes_nothing_and_to_larger_ones_keeps_the_volume():
    patient = cardiac.hearts(1, 0, 0, slices=2).train[0]
    same = cardiac_files.resample(patient)
    np.testing.assert_array_equal(same.ed, patient.ed)
    np.testing.assert_array_equal(same.es_labels, patient.es_labels)
    coarse = cardiac_files.resample(patient, size=32, pixel=4.0)
    volumes = [(p.ed_labels == cardiac.LV).sum() * np.prod(p.spacing) for p in (patient, coarse)]
    assert abs(volumes[1] / volumes[0] - 1) < 0.1
