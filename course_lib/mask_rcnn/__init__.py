"""Chapter 10: Mask R-CNN in PyTorch, from its parts.

==============  =========================================================================================
``boxes``       overlap, offsets, non-maximum suppression
``anchors``     boxes laid out in advance, their objects, the loss of the proposal network
``proposals``   the boxes that are looked at more closely, and those that the heads learn from
``roi``         RoIPool, RoIAlign, masks put back into the image
``model``       backbone, feature pyramid, three heads, losses, detection
``training``    batches, learning rate, the loop
``evaluation``  average precision as COCO defines it
``tracking``    objects followed through a video
``pictures``    boxes, masks and numbers drawn over an image; videos
==============  =========================================================================================
"""

from course_lib.mask_rcnn.anchors import make_anchors, match_anchors, rpn_loss, sample_anchors
from course_lib.mask_rcnn.boxes import box_area, box_iou, clip_boxes, decode_boxes, encode_boxes, nms
from course_lib.mask_rcnn.evaluation import average_precision, coco_ap, mask_iou, match_detections, precision_recall
from course_lib.mask_rcnn.model import RATIOS, SIZES, STRIDES, Detections, MaskRCNN, mask_targets
from course_lib.mask_rcnn.proposals import propose, sample_rois
from course_lib.mask_rcnn.roi import paste_masks, roi_align, roi_pool
from course_lib.mask_rcnn.tracking import Track, follow, sure, track_by_iou, usual_class
from course_lib.mask_rcnn.training import detect_all, images_of, new_model, tensors, train, trained

__all__ = [
    "RATIOS", "SIZES", "STRIDES", "Detections", "MaskRCNN", "Track", "average_precision", "box_area", "box_iou",
    "clip_boxes", "coco_ap", "decode_boxes", "detect_all", "encode_boxes", "follow", "images_of", "make_anchors",
    "mask_iou", "mask_targets", "match_anchors", "match_detections", "new_model", "nms", "paste_masks",
    "precision_recall", "propose", "roi_align", "roi_pool", "rpn_loss", "sample_anchors", "sample_rois", "sure",
    "tensors", "track_by_iou", "train", "trained", "usual_class",
]  # fmt: skip
