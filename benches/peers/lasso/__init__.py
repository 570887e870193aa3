"""The Lasso beside scikit-learn, celer and skglm."""
