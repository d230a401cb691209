(* TrieWalk: the walk finds the longest cached prefix and exactly its pages, and what that costs. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool LongestPrefix RadixTrie TrieNodes TrieStructure.
Import ListNotations.

Lemma common_prefix_spec a b : let k := common_prefix a b in
  k <= length a /\ k <= length b /\ firstn k a = firstn k b /\ (k < length a -> k < length b -> nth k a 0 <> nth k b 0).
Proof.
  revert b. induction a as [|x a IH]; destruct b as [|y b]; cbn [common_prefix].
  - cbn. repeat split; auto; lia.
  - cbn. repeat split; auto; lia.
  - cbn. repeat split; auto; lia.
  - destruct (Nat.eqb_spec x y) as [->|N]; cbn.
    + destruct (IH b) as (H1 & H2 & H3 & H4). split; [lia|split; [lia|split; [f_equal; auto|intros; apply H4; lia]]].
    + repeat split; auto; lia.
Qed.
Lemma firstn_more (q : path) d : d < length q -> firstn (S d) q = firstn d q ++ [nth d q 0].
Proof. revert d. induction q as [|x q IH]; cbn; intros d L; [lia|]. destruct d; auto. cbn. f_equal. apply IH. lia. Qed.
Lemma nth_of_prefix (a b : path) i : prefix a b -> i < length a -> nth i a 0 = nth i b 0.
Proof. intros (c & ->) L. rewrite app_nth1; auto. Qed.

Section Walk.
Variable P : nat.
Hypothesis P_positive : 0 < P.

(* Tokens agreed upon below a common start. *)
Lemma agree s a b : prefix s a -> prefix s b ->
  let d := length s + common_prefix (skipn (length s) a) (skipn (length s) b) in
  d <= length a /\ d <= length b /\ firstn d a = firstn d b /\ (d < length a -> d < length b -> nth d a 0 <> nth d b 0).
Proof.
  intros (x & ->) (y & ->). rewrite !skipn_app, !skipn_all, Nat.sub_diag. cbn [app skipn].
  destruct (common_prefix_spec x y) as (H1 & H2 & H3 & H4). set (k := common_prefix x y) in *. cbv zeta.
  rewrite !app_length. repeat split; try lia.
  - rewrite !firstn_app, !firstn_all2 by lia. f_equal. replace (length s + k - length s) with k by lia. exact H3.
  - intros L1 L2. rewrite !app_nth2 by lia. replace (length s + k - length s) with k by lia. apply H4; lia.
Qed.

Lemma child_at_some s key ns n : child_at s key ns = Some n ->
  In n ns /\ start n = length s /\ prefix s (n_path n) /\ nth (length s) (n_path n) 0 = key.
Proof.
  unfold child_at. intros H. apply find_some in H. destruct H as (I & E). apply in_children in I.
  apply Nat.eqb_eq in E. tauto.
Qed.
Lemma child_at_none s key ns n : child_at s key ns = None -> In n ns -> start n = length s -> prefix s (n_path n) ->
  nth (length s) (n_path n) 0 <> key.
Proof.
  unfold child_at. intros H Hn Sn Pn E. eapply find_none in H; [|apply in_children; eauto]. cbn in H.
  apply Nat.eqb_neq in H. auto.
Qed.

Definition a_node (s : path) (ns : list node) : Prop := s = [] \/ In s (paths ns).

Lemma no_child_no_edge ns s key : well_formed P ns -> a_node s ns -> child_at s key ns = None -> ~ edge_of ns (s ++ [key]).
Proof.
  intros W A C (n & Hn & Pn & L). rewrite app_length in L. cbn in L.
  assert (Ps : prefix s (n_path n)) by (eapply prefix_trans; [apply prefix_app|exact Pn]).
  pose proof (prefix_length _ _ Pn) as Ln. rewrite app_length in Ln. cbn in Ln.
  destruct (Nat.eq_dec (start n) (length s)) as [E|E].
  - apply (child_at_none s key ns n C Hn E Ps). rewrite <- (nth_of_prefix (s ++ [key])); auto.
    + rewrite app_nth2, Nat.sub_diag by lia. reflexivity.
    + rewrite app_length. cbn. lia.
  - destruct A as [->|I]; [cbn in *; lia|]. apply in_paths in I. destruct I as (m & Hm & Em).
    assert (m = n).
    { apply (wf_disjoint P ns W m n s); auto; [|split; auto; lia]. rewrite <- Em. apply (on_own_edge P), (wf_shape P ns W m Hm). }
    subst m. rewrite Em in Ln. lia.
Qed.

Lemma no_longer ns q d d' : well_formed P ns -> d < d' -> d' <= length q -> ~ edge_of ns (firstn (S d) q) ->
  ~ edge_of ns (firstn d' q).
Proof.
  intros W L L' N E. apply N. eapply edge_of_prefix; eauto.
  - replace (firstn (S d) q) with (firstn (S d) (firstn d' q)); [apply prefix_firstn|].
    rewrite firstn_firstn. f_equal. lia.
  - destruct q; cbn in *; [lia|discriminate].
Qed.

(* What a walk from s has found. *)
Record found (s query : path) (ns : list node) (w : walk_end) : Prop := {
  f_low : length s <= w_depth w;
  f_high : w_depth w <= length query;
  f_cached : w_depth w = length s \/ edge_of ns (firstn (w_depth w) query);
  f_longest : forall d, w_depth w < d -> d <= length query -> ~ edge_of ns (firstn d query);
  f_node : a_node (w_node w) ns /\ prefix (w_node w) query /\ prefix s (w_node w) /\ length (w_node w) <= w_depth w;
  f_child : match w_child w with
            | None => length (w_node w) = w_depth w
            | Some c => exists n, In n ns /\ n_path n = c /\ start n = length (w_node w) /\ prefix (w_node w) c /\
                        prefix (firstn (w_depth w) query) c /\ start n < w_depth w < stop n
            end;
  f_num_pages : length (w_pages w) = w_depth w / P - length s / P;
  f_pages : forall i p, nth_error (w_pages w) i = Some p -> full_entry P ns (firstn ((length s / P + i + 1) * P) query) p;
  f_steps : w_steps w <= w_depth w - length s + 1;
  f_compared : w_compared w <= w_depth w - length s + 1
}.

Theorem walk_finds fuel s query ns : well_formed P ns -> a_node s ns -> prefix s query ->
  length query < length s + fuel -> found s query ns (walk P fuel s query ns).
Proof.
  intros W. revert s. induction fuel as [|fuel IH]; intros s A Ps F.
  { pose proof (prefix_length _ _ Ps). lia. }
  pose proof (prefix_length _ _ Ps) as Ls. cbn [walk]. destruct (Nat.ltb_spec (length s) (length query)) as [L|L].
  2:{ constructor; cbn; auto using prefix_refl; try lia. intros i p H. destruct i; discriminate. }
  assert (Snoc : firstn (S (length s)) query = s ++ [nth (length s) query 0]).
  { rewrite firstn_more by auto. f_equal. symmetry. apply prefix_is_firstn. auto. }
  destruct (child_at s (nth (length s) query 0) ns) as [n|] eqn:C.
  2:{ constructor; cbn; auto using prefix_refl; try lia.
      - intros d Ld Ld'. eapply no_longer; eauto. rewrite Snoc. apply no_child_no_edge; auto.
      - intros i p H. destruct i; discriminate. }
  apply child_at_some in C. destruct C as (Hn & Sn & Pn & Kn).
  pose proof (wf_shape P ns W n Hn) as (Sh1 & Sh2 & Sh3).
  destruct (agree s (n_path n) query Pn Ps) as (D1 & D2 & D3 & D4). rewrite <- Sn in *.
  set (d := start n + common_prefix (skipn (start n) (n_path n)) (skipn (start n) query)) in *.
  assert (D0 : start n < d).
  { destruct (Nat.lt_ge_cases (start n) d) as [|G]; auto. exfalso. assert (d = start n) by lia. apply D4; try lia.
    - unfold stop in *. lia.
    - rewrite H. rewrite Sn at 1 2. rewrite Sn in Kn. exact Kn. }
  assert (Pd : prefix (firstn d query) (n_path n)) by (rewrite <- D3; apply prefix_firstn).
  assert (Ld : length (firstn d query) = d) by (rewrite firstn_length; lia).
  assert (En : on_edge n (firstn d query)) by (split; auto; lia).
  (* The pages of n that the walk has passed. *)
  assert (Pages : forall i p, nth_error (firstn (d / P - start n / P) (pages n)) i = Some p ->
            full_entry P ns (firstn ((start n / P + i + 1) * P) query) p).
  { intros i p H. assert (Li : i < d / P - start n / P).
    { assert (i < length (firstn (d / P - start n / P) (pages n))) by (apply nth_error_Some; congruence).
      rewrite firstn_length in H0. lia. }
    rewrite nth_error_firstn in H by auto.
    assert (M : (start n / P + i + 1) * P <= d).
    { transitivity (d / P * P); [apply Nat.mul_le_mono_r; lia|]. pose proof (Nat.mul_div_le d P). lia. }
    assert (Lk : length (firstn ((start n / P + i + 1) * P) query) = (start n / P + i + 1) * P)
      by (rewrite firstn_length; lia).
    exists n. split; auto. split.
    - split.
      + eapply prefix_trans; [|exact Pd]. apply prefix_of_firstn; [apply prefix_firstn|lia].
      + rewrite Lk. pose proof (Nat.div_mod (start n) P). pose proof (Nat.mod_upper_bound (start n) P). nia.
    - unfold page_on. rewrite Lk, Nat.mod_mul, Nat.eqb_refl, Nat.div_mul by lia. rewrite <- H. f_equal. lia. }
  destruct (Nat.ltb_spec d (stop n)) as [Lt|Ge].
  - constructor; cbn; auto using prefix_refl; try lia.
    + right. exists n. auto.
    + intros e Le Le'. eapply no_longer; eauto. intros (m & Hm & Pm & Lm).
      assert (LS : length (firstn (S d) query) = S d) by (rewrite firstn_length; lia). rewrite LS in Lm.
      assert (Pdm : prefix (firstn d query) (n_path m)).
      { eapply prefix_trans; [|exact Pm]. replace (firstn d query) with (firstn d (firstn (S d) query)); [apply prefix_firstn|].
        rewrite firstn_firstn. f_equal. lia. }
      destruct (Nat.eq_dec (start m) d) as [Em|Em].
      * destruct (wf_parent P ns W m Hm) as [Z|I]; [lia|]. apply in_paths in I. destruct I as (u & Hu & Eu).
        assert (Eq : parent m = firstn d query).
        { unfold parent. rewrite Em. apply prefix_is_firstn in Pdm. rewrite Ld in Pdm. symmetry. exact Pdm. }
        assert (u = n).
        { apply (wf_disjoint P ns W u n (firstn d query)); auto. rewrite <- Eq, <- Eu.
          apply (on_own_edge P), (wf_shape P ns W u Hu). }
        subst u. unfold stop in *. rewrite Eu, Eq in *. lia.
      * assert (m = n) by (apply (wf_disjoint P ns W m n (firstn d query)); auto; split; auto; lia). subst m.
        apply D4; [unfold stop in *; lia|lia|]. rewrite <- (nth_of_prefix (firstn (S d) query) (n_path n)) by (auto; lia).
        rewrite firstn_more by lia. rewrite app_nth2 by lia. rewrite Ld, Nat.sub_diag. reflexivity.
    + repeat split; auto using prefix_refl. lia.
    + exists n. repeat split; auto; lia.
    + rewrite firstn_length, Sh2, <- Sn. pose proof (div_le P P_positive (start n) d). pose proof (div_le P P_positive d (stop n)). lia.
    + intros i p H. rewrite <- Sn. auto.
  - assert (d = stop n) by (unfold stop in *; lia).
    assert (Path : n_path n = firstn d query).
    { rewrite <- D3. symmetry. apply firstn_all2. unfold stop in *. lia. }
    assert (Pq : prefix (n_path n) query) by (rewrite Path; apply prefix_firstn).
    assert (An : a_node (n_path n) ns) by (right; apply in_paths; eauto).
    destruct (IH (n_path n) An Pq) as [G1 G2 G3 G4 G5 G6 G7 G8 G9 G10]; [fold (stop n); lia|].
    fold (stop n) in *. set (w := walk P fuel (n_path n) query ns) in *.
    destruct G5 as (G51 & G52 & G53 & G54).
    constructor; cbn; auto; try lia.
    + destruct G3 as [G3|G3]; auto. right. rewrite G3, <- H. exists n. auto.
    + repeat split; auto. eapply prefix_trans; [exact Pn|exact G53].
    + rewrite app_length, Sh2, G7, <- Sn. pose proof (div_le P P_positive (start n) (stop n)).
      pose proof (div_le P P_positive (stop n) (w_depth w)). lia.
    + intros i p Hi. rewrite <- Sn. destruct (Nat.lt_ge_cases i (length (pages n))) as [Li|Li].
      * apply Pages. rewrite nth_error_app1 in Hi by auto. rewrite H, <- Sh2, firstn_all. exact Hi.
      * rewrite nth_error_app2 in Hi by auto. apply G8 in Hi.
        pose proof (div_le P P_positive (start n) (stop n)).
        replace (start n / P + i + 1) with (stop n / P + (i - length (pages n)) + 1) by lia. exact Hi.
Qed.

(* ---- in the words of a map: the longest cached prefix and its pages, exactly *)
Corollary walk_from_root query ns : well_formed P ns -> found [] query ns (walk_from P [] query ns).
Proof. intros W. apply walk_finds; auto using prefix_nil; try (left; reflexivity); cbn; lia. Qed.

(* A page of the map is unique. *)
Lemma full_entry_unique ns k p p' : well_formed P ns -> full_entry P ns k p -> full_entry P ns k p' -> p = p'.
Proof.
  intros W (n & Hn & En & Ep) (m & Hm & Em & Ep'). assert (n = m) by (apply (wf_disjoint P ns W n m k); auto). congruence.
Qed.

Theorem peek_is_longest tokens st : well_formed P (nodes st) ->
  let d := peek P tokens st in
  d <= length tokens /\ (d = 0 \/ edge_of (nodes st) (firstn d tokens)) /\
  (forall d', d < d' -> d' <= length tokens -> ~ edge_of (nodes st) (firstn d' tokens)).
Proof.
  intros W d. destruct (walk_from_root tokens (nodes st) W) as [? ? ? ? ? ? ? ? ? ?]. cbn in *. auto.
Qed.
End Walk.
